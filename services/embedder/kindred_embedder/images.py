"""An encoded image -> embedding, and detections where the model is a pipeline that finds them in the same pass."""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import KindredError
from kindred_kit.imaging import ImageLimits, RegionN, crop, decode, probe, thumbnail
from kindred_kit.models import FoundBox, ModelManifest, PreparedImage, prepare_image, read_boxes
from kindred_kit.ports.inference import Inference
from kindred_kit.telemetry import STAGE_SECONDS


class EmbeddingNotFinite(KindredError):
    """The model answered NaN or infinity: such an image is never indexed."""

    code = "embedding_not_finite"


@dataclass(frozen=True)
class EmbeddedImage:
    """`embedding` float32 [d], L2-normalised; `width` and `height` in pixels, oriented; `thumb` a JPEG or empty."""

    embedding: NDArray[np.float32]
    boxes: list[FoundBox]
    width: int
    height: int
    thumb: bytes


@dataclass(frozen=True)
class _Pixels:
    prepared: PreparedImage
    width: int
    height: int
    thumb: bytes


class ImageEmbedder:
    """The image tower of a space. Decoding runs in `pool`, off the event loop."""

    def __init__(self, model: ModelManifest, inference: Inference, pool: Executor, limits: ImageLimits) -> None:
        self._model = model
        self._inference = inference
        self._pool = pool
        self._limits = limits
        # Decoders may halve a large photo while this many pixels of its short side are needed at the most.
        self._largest_input_px = max(max(i.width, i.height) for i in model.image_inputs)

    async def embed(self, data: bytes, *, region: RegionN | None = None, thumb_side_px: int = 0) -> EmbeddedImage:
        """Raises the image errors of kindred_kit.errors, InvalidRegion, EmbeddingNotFinite, Unavailable."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._pool, self._prepare, data, region, thumb_side_px)
        decoded = time.perf_counter()
        outputs = await self._inference.infer(self._model.name, pixels.prepared.tensors)
        STAGE_SECONDS.labels("embedder", "pixels").observe(decoded - started)
        STAGE_SECONDS.labels("embedder", "infer").observe(time.perf_counter() - decoded)
        embedding = outputs["embedding"][0].astype(np.float32)
        if not np.isfinite(embedding).all():
            raise EmbeddingNotFinite(f"model {self._model.name} gave an embedding that is not finite")
        boxes = self._boxes(outputs, pixels.prepared)
        return EmbeddedImage(embedding, boxes, pixels.width, pixels.height, pixels.thumb)

    def _prepare(self, data: bytes, region: RegionN | None, thumb_side_px: int) -> _Pixels:
        info = probe(data, self._limits)
        # A region is cut from full resolution: what is left of it may be small.
        rgb = decode(data, self._limits, min_side_px=None if region else self._largest_input_px)
        thumb = thumbnail(rgb, thumb_side_px) if thumb_side_px else b""
        window = crop(rgb, region) if region else rgb
        return _Pixels(prepare_image(window, self._model.image_inputs), info.width, info.height, thumb)

    def _boxes(self, outputs: dict[str, NDArray[Any]], prepared: PreparedImage) -> list[FoundBox]:
        if self._model.kind != "image_pipeline":
            return []
        frame = self._model.boxes_input
        return read_boxes(
            outputs["boxes"][0],
            outputs["scores"][0],
            outputs["classes"][0],
            image_input=frame,
            letterbox=prepared.letterboxes.get(frame.name),
            score_threshold=self._model.score_threshold,
            nms_iou=self._model.nms_iou,
        )
