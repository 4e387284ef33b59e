"""Loads an export with a library that others train with, and prints what it saw as JSON.

Runs in the environment of requirements/readers.in: `python foreign_readers.py LIBRARY FORM FOLDER [FORM FOLDER ...]`.
The answer holds for each folder, by split ("" where the reader knows none) and file name without suffix: the sides of
the pixels in px, and of each box its class, xyxy in px counted from 0, and its score where the library keeps it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Box = tuple[str, list[float], float | None]
Seen = dict[str, dict[str, tuple[list[int], list[Box]]]]


def pycocotools(form: str, folder: Path) -> Seen:
    from pycocotools.coco import COCO

    assert form == "coco"
    seen: Seen = {}
    for split in ("train", "val"):
        coco = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        images = seen.setdefault(split, {})
        for image_id, image in coco.imgs.items():
            boxes: list[Box] = []
            for entry in coco.loadAnns(coco.getAnnIds(imgIds=[image_id])):
                x, y, w, h = entry["bbox"]
                boxes.append((coco.cats[entry["category_id"]]["name"], [x, y, x + w, y + h], entry["score"]))
            images[Path(image["file_name"]).stem] = ([image["width"], image["height"]], boxes)
    return seen


def supervision(form: str, folder: Path) -> Seen:
    import supervision as sv

    def load(split: str) -> Any:
        if form == "coco":
            return sv.DetectionDataset.from_coco(
                str(folder / "images" / split), str(folder / "annotations" / f"instances_{split}.json")
            )
        if form == "yolo":
            return sv.DetectionDataset.from_yolo(
                str(folder / "images" / split), str(folder / "labels" / split), str(folder / "data.yaml")
            )
        return sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))

    seen: Seen = {}
    for split in ("",) if form == "voc" else ("train", "val"):
        if form == "yolo" and not (folder / "images" / split).exists():
            continue
        dataset = load(split)
        images = seen.setdefault(split, {})
        for path, pixels, found in dataset:
            boxes: list[Box] = [
                (dataset.classes[class_id], [float(edge) for edge in xyxy], None)
                for xyxy, class_id in zip(found.xyxy, found.class_id, strict=True)
            ]
            images[Path(path).stem] = ([pixels.shape[1], pixels.shape[0]], boxes)
    return seen


def datumaro(form: str, folder: Path) -> Seen:
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    options = {"coordinate_mode": "voc-one-based"} if form == "voc" else {}
    dataset = Dataset.import_from(str(folder), form, **options)
    names = [label.name for label in dataset.categories()[AnnotationType.label]]
    seen: Seen = {}
    for item in dataset:
        boxes: list[Box] = []
        for found in item.annotations:
            x, y, w, h = found.get_bbox()
            score = found.attributes.get("score")
            boxes.append((names[found.label], [x, y, x + w, y + h], None if score is None else float(score)))
        height, width = item.media.data.shape[:2]
        seen.setdefault(item.subset, {})[item.id] = ([width, height], boxes)
    return seen


READERS: dict[str, Callable[[str, Path], Seen]] = {
    "pycocotools": pycocotools,
    "supervision": supervision,
    "datumaro": datumaro,
}


def main() -> Iterator[Seen]:
    library, *rest = sys.argv[1:]
    for form, folder in zip(rest[::2], rest[1::2], strict=True):
        yield READERS[library](form, Path(folder))


if __name__ == "__main__":
    answers = list(main())
    print("\n" + json.dumps(answers))
