"""Weights of fewer bits; activations stay float32, so that an embedding does not depend on its neighbours."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kindred_kit.graphs.published import constants_of
from kindred_kit.models.source import Precision

LEAST_ELEMENTS = 1024
"""Smaller weights keep their exact value: they weigh nothing, and scales and biases are among them."""
_HALF_MAX = 65504


def set_precision(model: onnx.ModelProto, precision: Precision) -> None:
    """Store the weights of a graph as fp32, as fp16 with a Cast, or as int8 with DequantizeLinear, in place.

    A publisher's int8 weights become floats of the same values for fp32 and fp16, and stay for int8.
    """
    if precision in {"fp32", "fp16"}:
        _unfold(model)
    if precision == "fp16":
        store_half(model)
    if precision == "int8":
        _store_int8(model)


def store_half(model: onnx.ModelProto) -> None:
    """Large float32 constants become float16 plus a Cast, which runtimes fold at load: half the file, same speed."""
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or _size(tensor) < LEAST_ELEMENTS:
            continue
        name = tensor.name
        half = np.clip(numpy_helper.to_array(tensor), -_HALF_MAX, _HALF_MAX).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_f16"))
        casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
    _put_first(model, casts)


def _store_int8(model: onnx.ModelProto) -> None:
    """Symmetric, a scale for each output channel (each row of a table). Weights that two kinds of nodes share stay."""
    axes: dict[str, set[int]] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            axes.setdefault(name, set()).add(_channel_axis(node, place))
    dequantised: list[onnx.NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        axis = axes.get(tensor.name, {-1})
        if tensor.data_type != TensorProto.FLOAT or _size(tensor) < LEAST_ELEMENTS or len(axis) > 1 or -1 in axis:
            continue
        name = tensor.name
        [channel] = axis
        steps, scale = _steps(numpy_helper.to_array(tensor), channel)
        tensor.CopyFrom(numpy_helper.from_array(steps, f"{name}_i8"))
        scales.append(numpy_helper.from_array(scale, f"{name}_scale"))
        dequantised.append(helper.make_node("DequantizeLinear", [f"{name}_i8", f"{name}_scale"], [name], axis=channel))
    model.graph.initializer.extend(scales)
    _put_first(model, dequantised)


def _channel_axis(node: onnx.NodeProto, place: int) -> int:
    """The axis of a weight whose rows may each have a scale; -1 for a value that has to stay as it is."""
    if node.op_type == "MatMul" and place == 1:
        return 1
    if node.op_type == "Gather" and place == 0:
        return 0
    if node.op_type == "Conv" and place == 1:
        return 0
    if node.op_type == "Gemm" and place == 1:
        return 0 if any(entry.name == "transB" and entry.i for entry in node.attribute) else 1
    return -1


def _steps(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    others = tuple(side for side in range(values.ndim) if side != axis)
    scale = np.maximum(np.abs(values).max(axis=others), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(values / np.expand_dims(scale, others)).astype(np.int8), scale


def _unfold(model: onnx.ModelProto) -> None:
    """DequantizeLinear of constants -> float constants."""
    constants = constants_of(model)
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or any(name and name not in constants for name in node.input):
            kept.append(node)
            continue
        steps, scale = constants[node.input[0]].astype(np.float32), constants[node.input[1]].astype(np.float32)
        point = constants[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scale)
        if scale.size > 1:
            axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
            others = tuple(side for side in range(steps.ndim) if side != axis % steps.ndim)
            scale, point = np.expand_dims(scale, others), np.expand_dims(point, others)
        floats = ((steps - point) * scale).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(floats, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    used = {name for node in model.graph.node for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)


def _put_first(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def _size(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims))
