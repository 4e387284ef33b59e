"""Runs a lite_image graph over many photos, in processes, one thread each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from . import detector, encoder
from .graph import session
from .images import Pixels, letterbox, stretch
from .views import View

Arrays = dict[str, NDArray[np.float32]]

_session: ort.InferenceSession | None = None


def inputs(pixels: Pixels) -> dict[str, NDArray[np.uint8]]:
    """The two inputs of lite_image for one photo, uint8 [1, ...]."""
    size = encoder.INPUT_PX
    return {
        "encoder_image": stretch(pixels, size)[None],
        "detector_image": letterbox(pixels, detector.INPUT_PX)[None],
    }


def run_all(model: Path, views: Sequence[View], outputs: Sequence[str]) -> Arrays:
    """Output name -> array [len(views), ...], rows in the order of `views`."""
    with ProcessPoolExecutor(os.cpu_count(), initializer=_start, initargs=(model,)) as pool:
        rows = list(pool.map(_run, views, [tuple(outputs)] * len(views), chunksize=8))
    return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(outputs)}


def _start(model: Path) -> None:
    global _session
    _session = session(model)


def _run(view: View, outputs: tuple[str, ...]) -> list[NDArray[np.float32]]:
    if _session is None:
        raise RuntimeError("the worker process was not started by run_all")
    return [value[0] for value in _session.run(list(outputs), inputs(view.pixels()))]
