"""The detector in this process, without a gallery: for labelling folders and for measuring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kindred_detector.detection import Detector
from kindred_detector.options import DetectOptions
from kindred_detector.views import Augmentation
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.cores import available_cores
from kindred_standalone.parsing import scales_of
from kindred_standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Way:
    """A way of looking: its name, and what the detector is asked."""

    name: str
    options: DetectOptions


@asynccontextmanager
async def open_detector(settings: StandaloneSettings) -> AsyncIterator[Detector]:
    """Raises ModelInvalid, ModelNotPulled."""
    models = settings.load_models().pulled(settings.profile)
    inference = OnnxInference({model.name: model.onnx_path for model in models})
    pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="pixels")
    try:
        yield Detector(models.detectors(settings.profile), inference, pool, settings.limits)
    finally:
        pool.shutdown(cancel_futures=True)
        await inference.aclose()


def augmentation_of(*, tta: bool, scales: str) -> Augmentation:
    """`--tta` flips, `--scales 0.75,1.5` looks at these sizes too. Raises UsageError, InvalidArgument."""
    augmentation = Augmentation(tta, scales_of(scales))
    augmentation.check()
    return augmentation
