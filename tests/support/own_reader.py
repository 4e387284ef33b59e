"""Reads an exported folder back with all that Kindred writes, scores and sources included."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from PIL import Image


class Read(NamedTuple):
    """A box: xyxy in px, counted from 0."""

    class_name: str
    box: tuple[float, float, float, float]
    score: float
    source: str
    agreement: int
    model: str
    label_set: str


Pictures = dict[str, dict[str, list[Read]]]
"""By split and file name without suffix."""


def read_export(form: str, folder: Path) -> Pictures:
    reader = {"coco": _coco, "yolo": _yolo, "voc": _voc}[form]
    pictures: Pictures = {"train": {}, "val": {}}
    for split, stem, boxes in reader(folder):
        assert stem not in pictures[split]
        pictures[split][stem] = boxes
    return pictures


def _coco(folder: Path) -> Iterator[tuple[str, str, list[Read]]]:
    for split in ("train", "val"):
        document = json.loads((folder / "annotations" / f"instances_{split}.json").read_bytes())
        names = {category["id"]: category["name"] for category in document["categories"]}
        for image in document["images"]:
            boxes = []
            for entry in (entry for entry in document["annotations"] if entry["image_id"] == image["id"]):
                x, y, w, h = entry["bbox"]
                boxes.append(
                    Read(names[entry["category_id"]], (x, y, x + w, y + h), entry["score"], **entry["attributes"])
                )
            yield split, Path(image["file_name"]).stem, boxes


def _yolo(folder: Path) -> Iterator[tuple[str, str, list[Read]]]:
    names = yaml.safe_load((folder / "data.yaml").read_text("ascii"))["names"]
    for path in sorted(folder.glob("labels/*/*.txt")):
        split = path.parent.name
        (image,) = folder.glob(f"images/{split}/{path.stem}.*")
        width, height = Image.open(image).size
        scores = (folder / "scores" / split / path.name).read_text("utf-8").splitlines()
        boxes = []
        for line, told in zip(path.read_text("ascii").splitlines(), scores, strict=True):
            class_id, x, y, w, h = line.split(" ")
            left, top = (float(x) - float(w) / 2) * width, (float(y) - float(h) / 2) * height
            box = (left, top, left + float(w) * width, top + float(h) * height)
            score, source, agreement, model, label_set = told.split("\t")
            boxes.append(Read(names[int(class_id)], box, float(score), source, int(agreement), model, label_set))
        yield split, path.stem, boxes


def _voc(folder: Path) -> Iterator[tuple[str, str, list[Read]]]:
    for split in ("train", "val"):
        for stem in (folder / "ImageSets" / "Main" / f"{split}.txt").read_text("ascii").splitlines():
            boxes = []
            for found in ET.parse(folder / "Annotations" / f"{stem}.xml").findall("object"):
                x_min, y_min, x_max, y_max = (
                    float(found.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")
                )
                told = {pair.findtext("name"): pair.findtext("value", "") for pair in found.iter("attribute")}
                boxes.append(
                    Read(
                        found.findtext("name", ""),
                        (x_min - 1, y_min - 1, x_max, y_max),
                        float(found.findtext("score", "")),
                        told["source"],
                        int(told["agreement"]),
                        told["model"],
                        told["label_set"],
                    )
                )
            yield split, stem, boxes
