"""Tensors of a model, from its model.yaml; where that does not give the shapes, from the graph itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest

DTYPES = ("uint8", "int32", "int64", "float16", "float32")
_GRAPH_DTYPES = {"tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(int64)": "int64"} | {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
}
_ANY = -1


@dataclass(frozen=True)
class TensorSpec:
    """`dims` are those behind the batch, -1 for any length. `batched`: the batch may have any size."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    batched: bool = True


@dataclass(frozen=True)
class Signature:
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batched(self) -> bool:
        return all(tensor.batched for tensor in (*self.inputs, *self.outputs))


def signature_of(model: ModelManifest) -> Signature:
    """Raises ModelInvalid where neither the manifest nor the graph gives a shape or a type that Triton can serve."""
    inputs, outputs = model.raw["inputs"], model.raw["outputs"]
    if not all("shape" in entry and "dtype" in entry for entry in (*inputs, *outputs)):
        return _of_graph(model)
    try:
        return Signature(tuple(map(_said, inputs)), tuple(map(_said, outputs)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelInvalid(f"model {model.name}: the shape of a tensor in its model.yaml is not readable") from error


def _said(entry: Mapping[str, Any]) -> TensorSpec:
    return _spec(entry["name"], entry["dtype"], entry["shape"])


def _of_graph(model: ModelManifest) -> Signature:
    import onnxruntime

    if not model.onnx_path.is_file():
        raise ModelInvalid(
            f"model {model.name}: its model.yaml gives no shapes, and there is no graph to read them from"
        )
    try:
        session = onnxruntime.InferenceSession(str(model.onnx_path), providers=["CPUExecutionProvider"])
        return Signature(
            tuple(_spec(node.name, _GRAPH_DTYPES[node.type], node.shape) for node in session.get_inputs()),
            tuple(_spec(node.name, _GRAPH_DTYPES[node.type], node.shape) for node in session.get_outputs()),
        )
    except Exception as error:  # the runtime has a dozen exception types of its own, none public
        raise ModelInvalid(f"model {model.name}: its graph can't be read: {error}") from error


def _spec(name: str, dtype: str, shape: Sequence[int | str | None]) -> TensorSpec:
    if dtype not in DTYPES:
        raise ValueError(f"{dtype!r} is none of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not shape or not all(dim is None or isinstance(dim, int | str) for dim in shape):
        raise ValueError(f"{shape!r} is no shape")
    batched = not isinstance(shape[0], int) or shape[0] < 0
    behind = shape[1:] if batched else shape
    return TensorSpec(name, dtype, tuple(dim if isinstance(dim, int) and dim > 0 else _ANY for dim in behind), batched)
