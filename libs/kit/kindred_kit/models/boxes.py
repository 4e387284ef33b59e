"""Raw boxes of a detector -> boxes of the original image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging import Letterbox
from kindred_kit.models.manifest import ImageInput


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
    max_detections: int = 100,
) -> list[FoundBox]:
    """Boxes of one image, best score first.

    `boxes` float32 [k, 4] are xyxy normalised to the model's input; `scores` float32 [k]; `classes` int64 [k].
    Boxes that lie in the padding alone are dropped.
    """
    kept = np.flatnonzero(scores >= score_threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")][:max_detections]
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
