"""The export of `kindred label`: labels alone, as files by relative path; the photos stay where they are."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kindred_datasets.domain import Label
from kindred_datasets.export.formats import FORMS, Picture, coco, voc, yolo

FORMATS = (*FORMS, "json")


@dataclass(frozen=True)
class FoundLabel:
    """A box, corners in 0..1 of the upright image."""

    class_id: int
    score: float
    box: tuple[float, float, float, float]
    source: str
    agreement: int
    model: str


@dataclass(frozen=True)
class LabelledImage:
    """`path` is relative to the labelled folder; sides in px, EXIF orientation applied."""

    path: str
    width: int
    height: int
    labels: tuple[FoundLabel, ...]


def files(
    form: str, images: Sequence[LabelledImage], classes: Sequence[str], label_set: str
) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file of the export. Pure: nothing is written here."""
    pictures = (_picture(image, classes, label_set) for image in images)
    if form == "coco":
        document = coco.CocoFile(classes, io.BytesIO(), io.BytesIO())
        for picture in pictures:
            document.add(picture)
        whole = io.BytesIO()
        document.write(whole, {})
        yield "annotations.json", whole.getvalue()
    elif form == "json":
        rows = {"label_set": label_set, "images": [_row(picture) for picture in pictures]}
        yield "labels.json", json.dumps(rows, indent=1).encode()
    elif form == "yolo":
        class_ids = {name: number for number, name in enumerate(classes)}
        yield "classes.txt", "".join(f"{name}\n" for name in classes).encode()
        yield "data.yaml", yolo.data_yaml(classes).encode()
        for picture, name in zip(pictures, _names(images), strict=True):
            yield f"labels/{name}.txt", yolo.label_lines(picture, class_ids).encode()
            yield f"scores/{name}.txt", yolo.score_lines(picture).encode()
    else:
        for picture, name in zip(pictures, _names(images), strict=True):
            yield f"annotations/{name}.xml", voc.annotation(picture).encode()


def _picture(image: LabelledImage, classes: Sequence[str], label_set: str) -> Picture:
    labels = tuple(
        Label(label_set, classes[label.class_id], label.score, label.box, label.source, label.agreement, label.model)
        for label in image.labels
    )
    return Picture(image.path, image.width, image.height, labels)


def _row(picture: Picture) -> dict[str, Any]:
    labels = [
        {
            "class": label.class_name,
            "score": round(label.score, 4),
            "bbox": picture.pixel_box(label).xywh,
            "source": label.source,
            "agreement": label.agreement,
            "model": label.model,
        }
        for label in picture.labels
    ]
    return {"file_name": picture.path, "width": picture.width, "height": picture.height, "labels": labels}


def _names(images: Sequence[LabelledImage]) -> list[str]:
    """A label file's name without suffix: the image's, with its suffix where two images share the rest."""
    taken: set[str] = set()
    names = []
    for image in images:
        name = os.path.splitext(image.path)[0]
        if name in taken:
            name = image.path
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names
