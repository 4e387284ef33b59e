"""Boxes that a model missed, from a COCO file, to the photos of a folder."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_kit.errors import ImageError, InvalidRegion
from kindred_standalone.errors import UsageError
from kindred_standalone.text import printable, printable_path

if TYPE_CHECKING:
    from kindred_kit.imaging import ImageLimits

_ROUNDING_PX = 0.5
"""Boxes are often rounded to pixels: so far outside is no reason to refuse one."""


def boxes_of(path: Path, folder: Path, photos: Sequence[bytes], limits: ImageLimits) -> dict[bytes, list[pb.Missed]]:
    """Photo -> its boxes, normalised. Raises UsageError for a file that does not fit, InvalidRegion for a box.

    A file name of the COCO file is looked for as a path below `folder`, then as a name alone, if no two photos have it.
    """
    named = _annotations(path)
    found: dict[bytes, list[pb.Missed]] = {}
    for name, boxes in named.items():
        photo = _photo(name, folder, photos)
        if photo is None:
            raise UsageError(
                f"{printable_path(path)} names {printable(name)}, which is not in {printable_path(folder)}"
            )
        sides = _sides(photo, limits)
        if sides is not None:  # else nobody can look at it, and the data set's notes say so
            found.setdefault(photo, []).extend(_missed(name, box, *sides) for box in boxes)
    return found


def _annotations(path: Path) -> Mapping[str, list[tuple[list[float], str]]]:
    """File name -> boxes ([x, y, w, h] in pixels) with their classes."""
    try:
        document = json.loads(path.read_bytes())
        classes = {entry["id"]: str(entry["name"]) for entry in document.get("categories", ())}
        names = {entry["id"]: str(entry["file_name"]) for entry in document["images"]}
        found: dict[str, list[tuple[list[float], str]]] = defaultdict(list)
        for entry in document["annotations"]:
            x, y, w, h = (float(side) for side in entry["bbox"])
            found[names[entry["image_id"]]].append(([x, y, w, h], classes.get(entry.get("category_id"), "")))
    except OSError as error:
        raise UsageError(f"{printable_path(path)} can't be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{printable_path(path)} is no COCO file with images and annotations: {error!r}") from None
    return found


def _photo(name: str, folder: Path, photos: Iterable[bytes]) -> bytes | None:
    as_path = os.path.normpath(os.path.join(os.path.abspath(os.fsencode(folder)), os.fsencode(name)))
    photos = list(photos)
    if as_path in photos:
        return as_path
    same_name = [photo for photo in photos if os.path.basename(photo) == os.path.basename(os.fsencode(name))]
    return same_name[0] if len(same_name) == 1 else None


def _sides(photo: bytes, limits: ImageLimits) -> tuple[int, int] | None:
    """Pixels, EXIF orientation applied."""
    from kindred_kit.imaging import probe
    from kindred_standalone.references import read_named

    try:
        info = probe(read_named(photo, limits.max_bytes), limits)
    except ImageError:
        return None
    return info.width, info.height


def _missed(name: str, said: tuple[list[float], str], width: int, height: int) -> pb.Missed:
    (x, y, w, h), class_name = said
    edge = _ROUNDING_PX
    if not (x >= -edge and y >= -edge and w > 0 and h > 0 and x + w <= width + edge and y + h <= height + edge):
        raise InvalidRegion(
            f"the box [{x:g}, {y:g}, {w:g}, {h:g}] does not lie in {printable(name)}, which has {width} x {height} px"
        )
    return pb.Missed(
        x_min=max(0.0, x / width),
        y_min=max(0.0, y / height),
        x_max=min(1.0, (x + w) / width),
        y_max=min(1.0, (y + h) / height),
        class_name=class_name,
    )
