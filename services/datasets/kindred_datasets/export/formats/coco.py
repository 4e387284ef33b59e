"""COCO instances (cocodataset.org/#format-data): boxes as [left, top, width, height] in px, counted from 0."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from kindred_datasets.export.formats.picture import Picture

DESCRIPTION = "Labelled by Kindred; boxes were not checked by a person"


class CocoFile:
    """One annotation file, written as a stream: pictures and annotations wait in two spools until `write`.

    Ids count from 1. `score` is where COCO results have it; source, agreement, model and label set stand in
    `attributes`, which Datumaro and CVAT keep.
    """

    def __init__(self, classes: Sequence[str], pictures: BinaryIO, annotations: BinaryIO) -> None:
        """The spools are empty, and open for writing and reading."""
        self._classes = classes
        self._category_ids = {name: number for number, name in enumerate(classes, 1)}
        self._pictures = pictures
        self._annotations = annotations
        self._picture_count = 0
        self._annotation_count = 0

    def add(self, picture: Picture, more: Mapping[str, Any] | None = None) -> None:
        """`more`: further keys of the picture. Raises OSError of the spools."""
        self._picture_count += 1
        entry = {"id": self._picture_count, "file_name": picture.path, "width": picture.width, "height": picture.height}
        _append(self._pictures, {**entry, **(more or {})}, first=self._picture_count == 1)
        for label in picture.labels:
            self._annotation_count += 1
            box = picture.pixel_box(label).xywh
            annotation = {
                "id": self._annotation_count,
                "image_id": self._picture_count,
                "category_id": self._category_ids[label.class_name],
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": 0,
                "segmentation": [],  # Datumaro warns of each box without one
                "score": round(label.score, 4),
                "attributes": {
                    "source": label.source,
                    "agreement": label.agreement,
                    "model": label.model,
                    "label_set": label.label_set,
                },
            }
            _append(self._annotations, annotation, first=self._annotation_count == 1)

    def write(self, file: BinaryIO, info: Mapping[str, Any], licenses: Sequence[Mapping[str, Any]] = ()) -> None:
        """The whole document, once."""
        head = {
            "info": {"description": DESCRIPTION, **info},
            "licenses": list(licenses),
            "categories": [
                {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(self._classes, 1)
            ],
        }
        file.write(json.dumps(head).encode()[:-1])
        for name, spool in (("images", self._pictures), ("annotations", self._annotations)):
            file.write(f', "{name}": [\n'.encode())
            spool.seek(0)
            shutil.copyfileobj(spool, file)
            file.write(b"\n]")
        file.write(b"}\n")


def _append(spool: BinaryIO, entry: Mapping[str, Any], *, first: bool) -> None:
    spool.write(("" if first else ",\n").encode() + json.dumps(entry).encode())
