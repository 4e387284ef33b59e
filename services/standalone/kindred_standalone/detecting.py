"""The detector in this process, without a gallery: for labelling folders and for measuring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kindred_detector.detection import Detector
from kindred_detector.options import DetectOptions
from kindred_detector.views import Augmentation
from kindred_kit.cores import available_cores
from kindred_kit.inference import open_inference
from kindred_standalone.parsing import scales_of
from kindred_standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Way:
    """A way of looking: its name, and what the detector is asked."""

    name: str
    options: DetectOptions


@asynccontextmanager
async def open_detector(settings: StandaloneSettings) -> AsyncIterator[Detector]:
    """Raises ModelInvalid, ModelNotPulled, and Unavailable where a Triton server is asked for and none answers."""
    async with AsyncExitStack() as stack:
        models, inference = await open_inference(
            stack, settings.load_models(), settings.profile, settings, must_answer=True
        )
        pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="pixels")
        stack.callback(pool.shutdown, cancel_futures=True)
        yield Detector(models.detectors(settings.profile), inference, pool, settings.limits)


def augmentation_of(*, tta: bool, scales: str) -> Augmentation:
    """`--tta` flips, `--scales 0.75,1.5` looks at these sizes too. Raises UsageError, InvalidArgument."""
    augmentation = Augmentation(tta, scales_of(scales))
    augmentation.check()
    return augmentation
