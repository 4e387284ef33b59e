"""An encoded image -> boxes."""

import asyncio
from collections.abc import Collection
from concurrent.futures import Executor
from dataclasses import dataclass

from kindred_kit.errors import InvalidArgument, UnknownLabel
from kindred_kit.imaging import ImageLimits, decode, probe
from kindred_kit.models import FoundBox, ModelManifest, PreparedImage, prepare_image, read_boxes
from kindred_kit.ports.inference import Inference

MAX_DETECTIONS = 100


@dataclass(frozen=True)
class DetectOptions:
    """`score_threshold` 0..1; `classes` are class names to keep, none: all."""

    score_threshold: float
    max_detections: int = MAX_DETECTIONS
    classes: Collection[str] = ()

    def check(self, known: Collection[str]) -> None:
        """Raise InvalidArgument or UnknownLabel."""
        if not 0.0 <= self.score_threshold <= 1.0:
            raise InvalidArgument("score_threshold must be within 0..1", pointer="/score_threshold")
        if not 1 <= self.max_detections <= MAX_DETECTIONS:
            raise InvalidArgument(f"max_detections must be within 1..{MAX_DETECTIONS}", pointer="/max_detections")
        unknown = [name for name in self.classes if name not in known]
        if unknown:
            raise UnknownLabel(f"no class {unknown[0]!r} in the label set", pointer="/classes")


@dataclass(frozen=True)
class DetectedImage:
    """Boxes, best score first; `width` and `height` in pixels, EXIF orientation applied."""

    boxes: list[FoundBox]
    width: int
    height: int


class Detector:
    """One detection model. Decoding runs in `pool`, off the event loop."""

    def __init__(self, model: ModelManifest, inference: Inference, pool: Executor, limits: ImageLimits) -> None:
        self._model = model
        self._inference = inference
        self._pool = pool
        self._limits = limits
        self._frame = model.boxes_input

    async def detect(self, data: bytes, options: DetectOptions) -> DetectedImage:
        """Raises the image errors of kindred_kit.errors, InvalidArgument, UnknownLabel, Unavailable."""
        options.check(self._model.classes)
        loop = asyncio.get_running_loop()
        prepared, width, height = await loop.run_in_executor(self._pool, self._prepare, data)
        outputs = await self._inference.infer(self._model.name, prepared.tensors)
        boxes = read_boxes(
            outputs["boxes"][0],
            outputs["scores"][0],
            outputs["classes"][0],
            image_input=self._frame,
            letterbox=prepared.letterboxes.get(self._frame.name),
            score_threshold=options.score_threshold,
            nms_iou=self._model.nms_iou,
        )
        kept = [box for box in boxes if not options.classes or self._model.classes[box.class_id] in options.classes]
        return DetectedImage(kept[: options.max_detections], width, height)

    def _prepare(self, data: bytes) -> tuple[PreparedImage, int, int]:
        info = probe(data, self._limits)
        largest_px = max(self._frame.width, self._frame.height)
        pixels = decode(data, self._limits, min_side_px=largest_px)
        return prepare_image(pixels, self._model.image_inputs), info.width, info.height
