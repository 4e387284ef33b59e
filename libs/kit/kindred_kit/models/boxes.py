"""Raw boxes of a detector -> boxes of the original image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging import Letterbox
from kindred_kit.models.manifest import ImageInput

MAX_CANDIDATES = 1_000
"""Most certain boxes that NMS looks at: an undecoded YOLO gives thousands, nearly all of them noise."""


@dataclass(frozen=True)
class FoundBox:
    """A detected object. Corners are xyxyn of the original; the score is 0..1."""

    class_id: int
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float


def read_boxes(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    *,
    image_input: ImageInput,
    letterbox: Letterbox | None,
    score_threshold: float,
    nms_iou: float,
    max_detections: int = 100,
) -> list[FoundBox]:
    """Boxes of one image, best score first; of two of one class that overlap by more than `nms_iou`, the better one.

    `boxes` float32 [k, 4] are xyxy normalised to the model's input; `scores` float32 [k]; `classes` int64 [k].
    Boxes that lie in the padding alone are dropped.
    """
    kept = np.flatnonzero(scores >= score_threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")][:MAX_CANDIDATES]
    kept = kept[_not_suppressed(boxes[kept], classes[kept], nms_iou)][:max_detections]
    corners = boxes[kept].astype(np.float64)
    if letterbox is not None:
        corners *= np.array([image_input.width, image_input.height] * 2)
        corners = letterbox.invert(corners) / np.array([letterbox.source_width, letterbox.source_height] * 2)
    corners = np.clip(corners, 0.0, 1.0)
    return [
        FoundBox(int(class_id), float(score), *(float(value) for value in box))
        for class_id, score, box in zip(classes[kept], scores[kept], corners, strict=True)
        if box[2] > box[0] and box[3] > box[1]
    ]


def suppress(boxes: Sequence[FoundBox], nms_iou: float) -> list[FoundBox]:
    """NMS over boxes that lie in one frame already, such as those of overlapping parts; best score first."""
    ranked = sorted(boxes, key=lambda box: -box.score)
    corners = np.array([(b.x_min, b.y_min, b.x_max, b.y_max) for b in ranked], np.float32).reshape(-1, 4)
    kept = _not_suppressed(corners, np.array([box.class_id for box in ranked], np.int64), nms_iou)
    return [ranked[position] for position in kept]


def _not_suppressed(boxes: NDArray[np.float32], classes: NDArray[np.int64], nms_iou: float) -> NDArray[np.int64]:
    """Positions that greedy class-aware NMS keeps, of boxes xyxy [k, 4] that are sorted by falling score."""
    low, high = boxes[:, None], boxes[None]
    sides = np.clip(np.minimum(low[..., 2:], high[..., 2:]) - np.maximum(low[..., :2], high[..., :2]), 0, None)
    overlap = sides[..., 0] * sides[..., 1]
    area = np.diagonal(overlap)
    union = area[:, None] + area[None] - overlap
    rivals = (overlap > nms_iou * union) & (classes[:, None] == classes[None])
    kept: list[int] = []
    for position in range(len(boxes)):
        if not rivals[position, kept].any():
            kept.append(position)
    return np.array(kept, np.int64)
