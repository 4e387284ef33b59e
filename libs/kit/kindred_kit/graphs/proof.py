"""A prepared graph, tried once before it is ever served: what files from elsewhere say of themselves is not enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCH_TOLERANCE = 1e-5
_BOX_TOLERANCE = 1e-3
"""Of boxes in 0..1 and of scores: a tie in the last bit may order two boxes otherwise, but moves none."""
_ROWS = 3
_TYPES = {"uint8": np.uint8, "int32": np.int32, "int64": np.int64}


def prove(path: Path, manifest: ModelManifest) -> None:
    """Outputs are there, of the shapes in model.yaml, finite, and the same alone as in a batch. Raises ModelInvalid."""
    session = _session(path, manifest)
    inputs = {entry["name"]: _trial(entry, manifest) for entry in manifest.raw["inputs"]}
    together = _run(session, inputs, manifest)
    for entry in manifest.raw["outputs"]:
        _check(entry, together[entry["name"]], manifest)
    alone = _run(session, {name: value[:1] for name, value in inputs.items()}, manifest)
    for name, value in together.items():
        tolerance = BATCH_TOLERANCE if name == "embedding" else _BOX_TOLERANCE
        if value.dtype.kind == "f" and not np.allclose(value[:1], alone[name], atol=tolerance, rtol=0):
            raise ModelInvalid(f"model {manifest.name}: `{name}` of an image or text changes with its neighbours")


def _session(path: Path, manifest: ModelManifest) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a dozen exception types of its own, none public
        raise ModelInvalid(f"model {manifest.name}: ONNX Runtime does not take the prepared graph: {error}") from error


def _trial(entry: dict[str, Any], manifest: ModelManifest) -> NDArray[Any]:
    """Three rows of noise, dark to bright: what is scaled by a batch's largest value shows in its first row.

    Of token ids those that every vocabulary has, or a mask of ones.
    """
    random = np.random.default_rng(0)
    shape = [_ROWS, *(side if isinstance(side, int) else manifest.max_text_tokens or 1 for side in entry["shape"][1:])]
    dtype = _TYPES[entry["dtype"]]
    if entry["name"] == "attention_mask":
        return np.ones(shape, dtype)
    brightest = np.linspace(255 / _ROWS, 255, _ROWS).astype(np.int64).reshape(-1, *[1] * (len(shape) - 1))
    return random.integers(1, brightest, shape).astype(dtype)


def _run(
    session: InferenceSession, inputs: dict[str, NDArray[Any]], manifest: ModelManifest
) -> dict[str, NDArray[Any]]:
    names = [entry["name"] for entry in manifest.raw["outputs"]]
    rows = len(next(iter(inputs.values())))
    try:
        return dict(zip(names, session.run(names, inputs), strict=True))
    except Exception as error:
        raise ModelInvalid(
            f"model {manifest.name}: the prepared graph does not run for a batch of {rows}: {error}"
        ) from error


def _check(entry: dict[str, Any], value: NDArray[Any], manifest: ModelManifest) -> None:
    wanted = [_ROWS, *entry["shape"][1:]]
    if list(value.shape) != wanted:
        raise ModelInvalid(f"model {manifest.name}: `{entry['name']}` is {list(value.shape)}, model.yaml says {wanted}")
    if not np.isfinite(value).all():
        raise ModelInvalid(f"model {manifest.name}: `{entry['name']}` is not finite")
    if entry.get("normalised") and not np.allclose(np.linalg.norm(value, axis=-1), 1, atol=1e-4):
        raise ModelInvalid(f"model {manifest.name}: `{entry['name']}` has not unit length")
