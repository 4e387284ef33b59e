"""An encoded image -> boxes: one run of one model, or several runs fused."""

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_detector.fusion import fuse
from kindred_detector.heads import raw_boxes
from kindred_detector.options import DetectOptions
from kindred_detector.views import View
from kindred_kit.errors import ModelInvalid
from kindred_kit.imaging import ImageLimits, decode, probe
from kindred_kit.models import FoundBox, ModelManifest, prepare_image, read_boxes, suppress
from kindred_kit.ports.inference import Inference

FUSION_FLOOR = 0.01
"""Boxes below take no part in a fusion. Fixed, so that a higher threshold answers fewer boxes and no others."""
_RUN_DETECTIONS = 300


@dataclass(frozen=True)
class DetectedBox:
    """`source` is single, tta or wbf; `agreement` counts the runs that saw it; `models` are name/version of those."""

    box: FoundBox
    source: str
    agreement: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class DetectedImage:
    """Boxes, best score first; `models` that ran; `width` and `height` in pixels, EXIF orientation applied."""

    boxes: list[DetectedBox]
    models: list[ModelManifest]
    width: int
    height: int


@dataclass(frozen=True)
class _Pixels:
    rgb: NDArray[np.uint8]
    width: int
    height: int


class Detector:
    """The detection models of a profile, its own first. Decoding and resizing run in `pool`, off the event loop."""

    def __init__(
        self, models: Sequence[ModelManifest], inference: Inference, pool: Executor, limits: ImageLimits
    ) -> None:
        """Raises ModelInvalid when there is no model, or one without a frame for its boxes."""
        if not models:
            raise ModelInvalid("no model of this profile detects")
        self.models = {model.name: model for model in models}
        self.default = models[0]
        self._frames = {model.name: model.boxes_input for model in models}
        self._inference = inference
        self._pool = pool
        self._limits = limits

    async def detect(self, data: bytes, options: DetectOptions) -> DetectedImage:
        """Raises the image errors of kindred_kit.errors, InvalidArgument, UnknownLabel, ModelInvalid, Unavailable."""
        options.check()
        models = options.chosen(self.models, self.default)
        wanted = options.class_ids(models[0], self.models.values())
        threshold = options.score_threshold if options.score_threshold is not None else models[0].score_threshold
        looks = options.augmentation.runs()
        pixels = await self._pixels(data, models, options.augmentation.zoom)
        runs = [(model, views) for model in models for views in looks]
        floor = threshold if len(runs) == 1 else FUSION_FLOOR
        found = await asyncio.gather(
            *(self._run(pixels, model, views, floor, options.nms_iou, wanted) for model, views in runs)
        )
        boxes = _merged([model for model, _ in runs], found, "wbf" if len(models) > 1 else "tta")
        kept = [box for box in boxes if box.box.score >= threshold][: options.max_detections]
        return DetectedImage(kept, models, pixels.width, pixels.height)

    async def _run(
        self,
        pixels: _Pixels,
        model: ModelManifest,
        views: Sequence[View],
        score_threshold: float,
        nms_iou: float | None,
        wanted: Collection[int] | None,
    ) -> list[FoundBox]:
        iou = model.nms_iou if nms_iou is None else nms_iou
        parts = await asyncio.gather(*(self._look(pixels, model, view, score_threshold, iou, wanted) for view in views))
        boxes = [box for part in parts for box in part]
        return suppress(boxes, iou) if len(parts) > 1 else boxes

    async def _look(
        self,
        pixels: _Pixels,
        model: ModelManifest,
        view: View,
        score_threshold: float,
        nms_iou: float,
        wanted: Collection[int] | None,
    ) -> list[FoundBox]:
        frame = self._frames[model.name]
        prepared = await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: prepare_image(view.of(pixels.rgb, frame.pad_value), model.image_inputs)
        )
        raw = raw_boxes(model, await self._inference.infer(model.name, prepared.tensors))
        chosen = slice(None) if wanted is None else np.isin(raw.classes, list(wanted))
        boxes = read_boxes(
            raw.boxes[chosen],
            raw.scores[chosen],
            raw.classes[chosen],
            image_input=frame,
            letterbox=prepared.letterboxes.get(frame.name),
            score_threshold=score_threshold,
            nms_iou=nms_iou,
            max_detections=_RUN_DETECTIONS,
        )
        return view.boxes_back(boxes)

    async def _pixels(self, data: bytes, models: Sequence[ModelManifest], zoom: float) -> _Pixels:
        largest_px = max(max(frame.width, frame.height) for frame in (self._frames[model.name] for model in models))

        def read() -> _Pixels:
            info = probe(data, self._limits)
            return _Pixels(decode(data, self._limits, min_side_px=round(largest_px * zoom)), info.width, info.height)

        return await asyncio.get_running_loop().run_in_executor(self._pool, read)


def _merged(models: Sequence[ModelManifest], found: Sequence[list[FoundBox]], source: str) -> list[DetectedBox]:
    """`models` and `found` by run."""
    names = [f"{model.name}/{model.version}" for model in models]
    if len(found) == 1:
        return [DetectedBox(box, "single", 1, (names[0],)) for box in found[0]]
    return [
        DetectedBox(fused.box, source, len(fused.runs), tuple(dict.fromkeys(names[run] for run in fused.runs)))
        for fused in fuse(found)
    ]
