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
from kindred_standalone.errors import UsageError
from kindred_standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Way:
    """A way of looking: its name, and what the detector is asked."""

    name: str
    options: DetectOptions


@asynccontextmanager
async def open_detector(settings: StandaloneSettings) -> AsyncIterator[Detector]:
    """Raises ModelInvalid."""
    models = settings.load_models()
    inference = OnnxInference({model.name: model.onnx_path for model in models})
    pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="pixels")
    try:
        yield Detector(models.detectors(settings.profile), inference, pool, settings.limits)
    finally:
        pool.shutdown(cancel_futures=True)
        await inference.aclose()


def names_of(text: str) -> tuple[str, ...]:
    """`a,b` -> names. Raises UsageError for an empty one."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError(f"{text!r} is no list of names separated by commas")
    return names


def augmentation_of(*, tta: bool, scales: str) -> Augmentation:
    """`--tta` flips, `--scales 0.75,1.5` looks at these sizes too. Raises UsageError, InvalidArgument."""
    try:
        sizes = tuple(float(size) for size in scales.split(",")) if scales else ()
    except ValueError:
        raise UsageError(f"--scales takes numbers separated by commas, not {scales!r}") from None
    augmentation = Augmentation(tta, sizes)
    augmentation.check()
    return augmentation
