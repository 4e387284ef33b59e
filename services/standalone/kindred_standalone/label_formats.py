"""Labelled images -> COCO, YOLO, Pascal VOC or plain JSON, as files by relative path. Pure: nothing is written here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

FORMATS = ("coco", "yolo", "voc", "json")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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

    def xywh(self, label: FoundLabel) -> tuple[float, float, float, float]:
        """Left, top, width, height in px."""
        x_min, y_min, x_max, y_max = label.box
        return (
            x_min * self.width, y_min * self.height, (x_max - x_min) * self.width, (y_max - y_min) * self.height,
        )  # fmt: skip


def files(
    form: str, images: Sequence[LabelledImage], classes: Sequence[str], label_set: str
) -> Iterator[tuple[str, str]]:
    """Relative path and text of every file of the export."""
    if form == "coco":
        yield "annotations.json", _coco(images, classes)
    elif form == "json":
        yield "labels.json", _json(images, classes, label_set)
    elif form == "yolo":
        yield "classes.txt", "".join(f"{name}\n" for name in classes)
        yield "data.yaml", "names:\n" + "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(classes))
        for image, name in zip(images, _names(images), strict=True):
            # readers insist on five columns: the scores stand in a file beside, line by line
            yield f"labels/{name}.txt", "".join(_yolo_line(label) for label in image.labels)
            yield f"scores/{name}.txt", "".join(f"{label.score:.4f}\n" for label in image.labels)
    else:
        for image, name in zip(images, _names(images), strict=True):
            yield f"annotations/{name}.xml", _voc(image, classes)


def _coco(images: Sequence[LabelledImage], classes: Sequence[str]) -> str:
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        for label in image.labels:
            box = [round(side, 2) for side in image.xywh(label)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label.class_id + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                    "score": round(label.score, 4),
                    "source": label.source,
                    "agreement": label.agreement,
                }
            )
    return json.dumps(
        {
            "info": {"description": "Labelled by Kindred; boxes were not checked by a person"},
            "images": [
                {"id": n, "file_name": image.path, "width": image.width, "height": image.height}
                for n, image in enumerate(images, 1)
            ],
            "annotations": annotations,
            "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(classes, 1)],
        },
        indent=1,
    )


def _json(images: Sequence[LabelledImage], classes: Sequence[str], label_set: str) -> str:
    def entry(image: LabelledImage, label: FoundLabel) -> dict[str, Any]:
        return {
            "class": classes[label.class_id],
            "score": round(label.score, 4),
            "bbox": [round(side, 2) for side in image.xywh(label)],
            "source": label.source,
            "agreement": label.agreement,
            "model": label.model,
        }

    rows = [
        {
            "file_name": image.path,
            "width": image.width,
            "height": image.height,
            "labels": [entry(image, label) for label in image.labels],
        }
        for image in images
    ]
    return json.dumps({"label_set": label_set, "images": rows}, indent=1)


def _yolo_line(label: FoundLabel) -> str:
    x_min, y_min, x_max, y_max = label.box
    sides = ((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min)
    return f"{label.class_id} {' '.join(f'{side:.6f}' for side in sides)}\n"


def _voc(image: LabelledImage, classes: Sequence[str]) -> str:
    """Pascal VOC counts pixels from 1: its readers take 1 from all four corners, and some read whole numbers alone."""
    lines = [
        "<annotation>",
        f"  <folder>{_xml(os.path.dirname(image.path))}</folder>",
        f"  <filename>{_xml(os.path.basename(image.path))}</filename>",
        f"  <size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    for label in image.labels:
        left, top, width, height = image.xywh(label)
        x_min, y_min = round(left), round(top)
        x_max, y_max = max(round(left + width), x_min + 1), max(round(top + height), y_min + 1)
        corners = {"xmin": x_min, "ymin": y_min, "xmax": x_max, "ymax": y_max}
        box = "".join(f"<{name}>{value + 1}</{name}>" for name, value in corners.items())
        lines += [
            "  <object>",
            f"    <name>{_xml(classes[label.class_id])}</name>",
            "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>",
            f"    <bndbox>{box}</bndbox>",
            f"    <score>{label.score:.4f}</score><source>{label.source}</source>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


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


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("?", text))
