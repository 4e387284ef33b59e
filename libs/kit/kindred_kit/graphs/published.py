"""A publisher's graph: read, described, cut down to what is wanted, and made to take any number of rows.

What its inputs and outputs are called is nobody's promise: they are found by type, rank and size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, compose, inliner, numpy_helper, shape_inference, version_converter

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.builder import IR_VERSION

BATCH = "n"
_LEAST_OPSET = 13
"""The first whose Unsqueeze and ReduceSum take their axes as inputs, and with per-axis DequantizeLinear."""
_PREFIX = "published/"
_KNOWN_TYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True)
class Value:
    """An input or output; None is a side that the graph leaves open."""

    name: str
    dtype: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name.removeprefix(_PREFIX)} {_KNOWN_TYPES.get(self.dtype, f'type {self.dtype}')} [{sides}]"


def read(path: Path) -> onnx.ModelProto:
    """Names prefixed, functions inlined, shapes inferred. Raises ModelInvalid for anything but an ONNX file."""
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ModelInvalid(f"{path.name} is not an ONNX file") from error
    if not model.graph.node or not model.graph.input or not model.graph.output:
        raise ModelInvalid(f"{path.name} is not an ONNX file: it has no graph")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelInvalid(f"{path.name} keeps its weights in other files; export it as one file")
    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        if opset_of(model) < _LEAST_OPSET:
            model = version_converter.convert_version(model, _LEAST_OPSET)
        model.ir_version = max(model.ir_version, IR_VERSION)  # before 4 every weight had to be an input too
        model = compose.add_prefix(model, _PREFIX, inplace=True)
        return shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # the library's C++ parts raise what they like
        raise ModelInvalid(f"{path.name} can't be read as a graph: {error}") from error


def opset_of(model: onnx.ModelProto) -> int:
    """Of the standard operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 1)


def inputs_of(model: onnx.ModelProto) -> list[Value]:
    """Without the weights, which old exports list among the inputs."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_value(info) for info in model.graph.input if info.name not in weights]


def outputs_of(model: onnx.ModelProto) -> list[Value]:
    return [_value(info) for info in model.graph.output]


def constants_of(model: onnx.ModelProto) -> Mapping[str, NDArray[Any]]:
    """Initialisers and the values of Constant nodes, by name, read when they are asked for."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found.update((node.output[0], entry.t) for entry in node.attribute if entry.name == "value")
    return _Arrays(found)


def fix_sides(model: onnx.ModelProto, name: str, sides: Mapping[int, int]) -> onnx.ModelProto:
    """With open sides of an input set (axis -> size), and all shapes inferred anew."""
    for value in model.graph.input:
        if value.name == name:
            for axis, size in sides.items():
                value.type.tensor_type.shape.dim[axis].dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.Clear()
    return shape_inference.infer_shapes(model, data_prop=True)


def keep_outputs(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Drop the other outputs, and every node, weight and input that the kept ones do not need."""
    makers = {name: node for node in model.graph.node for name in node.output}
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in makers:
            waiting += uses_of(makers[name])
    nodes = [node for node in model.graph.node if needed.intersection(node.output)]
    _replace(model.graph.node, nodes)
    used = {name for node in nodes for name in uses_of(node)}
    _replace(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in used])
    weights = {tensor.name for tensor in model.graph.initializer}
    _replace(model.graph.input, [v for v in model.graph.input if v.name in used and v.name not in weights])
    _replace(model.graph.output, [v for v in model.graph.output if v.name in names])


def needs_of(model: onnx.ModelProto, output: str) -> set[str]:
    """Names of the inputs that an output is computed from."""
    trial = onnx.ModelProto()
    # weights are heavy and tell nothing here
    trial.graph.node.extend(model.graph.node)
    trial.graph.input.extend(model.graph.input)
    trial.graph.output.extend(model.graph.output)
    keep_outputs(trial, {output})
    weights = {tensor.name for tensor in model.graph.initializer}
    return {value.name for value in trial.graph.input} - weights


def open_batch(model: onnx.ModelProto) -> None:
    """Let the first side of every input and output be any number.

    Reshapes of a graph that was exported for one row name that row: they are made to keep what comes in. What else may
    hold a graph to one row shows when it is tried (proof.py).
    """
    shapes = {value.name: value.shape for value in map(_value, [*model.graph.value_info, *model.graph.input])}
    constants = constants_of(model)
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants and node.input[0] not in constants:
            shape = constants[node.input[1]]
            if shape.size and shape[0] == 1 and shapes.get(node.input[0], (None,))[:1] == (1,):
                kept = np.concatenate([np.zeros(1, np.int64), shape[1:]])
                name = f"{node.input[1]}/open"
                if name not in constants:
                    model.graph.initializer.append(numpy_helper.from_array(kept, name))
                node.input[1] = name
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del model.graph.value_info[:]


def uses_of(node: onnx.NodeProto) -> list[str]:
    """Names of the values that a node reads, those inside its branches and loops among them."""
    inner = [sub for entry in node.attribute for sub in ([entry.g] if entry.HasField("g") else entry.graphs)]
    return [name for name in node.input if name] + [n for graph in inner for sub in graph.node for n in uses_of(sub)]


def listed(values: Sequence[Value]) -> str:
    return "; ".join(map(str, values)) or "none"


class _Arrays(Mapping[str, NDArray[Any]]):
    def __init__(self, tensors: Mapping[str, TensorProto]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors


def _value(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    return Value(
        info.name,
        tensor.elem_type,
        tuple(side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim),
    )


def _replace(field: object, kept: Sequence[object]) -> None:
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]
