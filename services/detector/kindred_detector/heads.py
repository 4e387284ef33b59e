"""Outputs of a detection graph -> boxes, scores and classes, as its manifest says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import Head, ImageInput, ModelManifest

_LARGEST_LOG_SIDE = 10.0
"""exp of it times a stride is far beyond any input: a hostile graph gives a large box, not infinity."""


@dataclass(frozen=True)
class RawBoxes:
    """Before thresholds and NMS: `boxes` float32 [k, 4] xyxy of the input in 0..1, `scores` [k], `classes` [k]."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


def raw_boxes(model: ModelManifest, outputs: Mapping[str, NDArray[Any]]) -> RawBoxes:
    """Of the first image of a batch. Raises ModelInvalid where the graph does not answer what the manifest says."""
    try:
        if model.head is not None:
            return _decoded(model, model.head, np.asarray(outputs[model.head.output][0], np.float32))
        found = RawBoxes(outputs["boxes"][0], outputs["scores"][0], outputs["classes"][0].astype(np.int64))
    except (KeyError, IndexError) as error:
        raise ModelInvalid(f"model {model.name} does not answer the outputs of its model.yaml") from error
    # outside the list of classes there is nothing to call it
    known = (found.classes >= 0) & (found.classes < len(model.classes)) & np.isfinite(found.scores)
    return RawBoxes(found.boxes[known], found.scores[known], found.classes[known])


def _decoded(model: ModelManifest, head: Head, output: NDArray[np.float32]) -> RawBoxes:
    frame = model.boxes_input
    if head.kind == "yolov8" and output.ndim == 2:
        output = output.T  # [4 + classes, anchors]
    before_classes = 4 if head.kind == "yolov8" else 5
    columns = before_classes + len(model.classes)
    if output.ndim != 2 or output.shape[1] != columns:
        raise ModelInvalid(
            f"model {model.name}: output {head.output} is {list(output.shape)}; "
            f"a {head.kind} head with {len(model.classes)} classes has {columns} columns"
        )
    geometry, scores = output[:, :4], output[:, before_classes:]
    if head.kind != "yolov8":
        scores = scores * output[:, 4:5]  # how sure it is that there is an object at all
    if head.kind == "yolox":
        geometry = _placed(model, head, geometry)
    classes = scores.argmax(axis=1)
    best = np.clip(scores[np.arange(len(scores)), classes], 0.0, 1.0)
    centres, halves = geometry[:, :2], geometry[:, 2:] / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=1)
    corners /= np.array([frame.width, frame.height] * 2, np.float32)
    finite = np.isfinite(corners).all(axis=1) & np.isfinite(best)
    return RawBoxes(corners[finite].astype(np.float32), best[finite], classes[finite].astype(np.int64))


def _placed(model: ModelManifest, head: Head, geometry: NDArray[np.float32]) -> NDArray[np.float32]:
    """Offsets in cells and log sides -> centre and sides in px. Source: YOLOX, yolo_head.py `decode_outputs`."""
    cells, strides = _grid(model.boxes_input, head.strides)
    if len(cells) != len(geometry):
        raise ModelInvalid(f"model {model.name}: {len(geometry)} anchors, its strides make {len(cells)}")
    centres = (geometry[:, :2] + cells) * strides
    sides = np.exp(np.minimum(geometry[:, 2:], _LARGEST_LOG_SIDE)) * strides
    return np.concatenate([centres, sides], axis=1)


def _grid(frame: ImageInput, strides: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Left top corner of each cell [k, 2] in cells, and its stride [k, 1] in px: rows of the finest grid first."""
    cells, sizes = [], []
    for stride in strides:
        y, x = np.mgrid[: frame.height // stride, : frame.width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sizes.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)
