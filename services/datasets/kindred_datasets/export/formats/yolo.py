"""YOLO as Ultralytics reads it (docs.ultralytics.com/datasets/detect): class, centre and size in 0..1, a line a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from kindred_datasets.export.formats.picture import Picture


def label_lines(picture: Picture, class_ids: Mapping[str, int]) -> str:
    """`class x y w h`, and nothing more: readers insist on five columns."""
    lines = []
    for label in picture.labels:
        box = picture.pixel_box(label)
        sides = (
            (box.x_min + box.x_max) / 2 / picture.width,
            (box.y_min + box.y_max) / 2 / picture.height,
            (box.x_max - box.x_min) / picture.width,
            (box.y_max - box.y_min) / picture.height,
        )
        lines.append(f"{class_ids[label.class_name]} {' '.join(f'{side:.6f}' for side in sides)}\n")
    return "".join(lines)


def score_lines(picture: Picture) -> str:
    """What five columns have no room for, line by line beside them: score, source, agreement, model, label set."""
    return "".join(
        f"{label.score:.4f}\t{label.source}\t{label.agreement}\t{label.model}\t{label.label_set}\n"
        for label in picture.labels
    )


def data_yaml(classes: Sequence[str], paths: Mapping[str, str] | None = None) -> str:
    """`paths`: folder of images by split. ASCII alone: readers open it in the encoding of their machine.

    There is no `path`: its readers then start from the folder of this file.
    """
    return yaml.safe_dump({**(paths or {}), "nc": len(classes), "names": dict(enumerate(classes))}, sort_keys=False)
