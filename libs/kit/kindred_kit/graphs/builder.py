"""A small ONNX graph builder: names are made here, constants are typed here, whole models can be absorbed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
_AXES_ARE_INPUT = 18


class GraphBuilder:
    """Collects nodes and constants; every method returns the names of the values that it made.

    `prefix` keeps them apart from those of a graph that they are added to, whose `opset` the nodes then have to fit.
    """

    def __init__(self, prefix: str = "", opset: int = OPSET) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self._prefix = prefix
        self._opset = opset
        self._made = 0

    def _fresh(self, stem: str) -> str:
        self._made += 1
        return f"{self._prefix}{stem}_{self._made}"

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, value: str, name: str, dtype: int, shape: Sequence[int | str]) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def floats(self, values: Any) -> str:
        return self.constant(np.asarray(values, np.float32))

    def ints(self, values: Any) -> str:
        return self.constant(np.asarray(values, np.int64))

    def constant(self, array: NDArray[Any]) -> str:
        name = self._fresh("const")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.ops(op_type, 1, *inputs, **attributes)[0]

    def ops(self, op_type: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        names = [self._fresh(op_type.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op_type, list(inputs), names, **attributes))
        return names

    def reduce(self, op_type: str, value: str, axis: int, *, keepdims: bool = True) -> str:
        """ReduceMax and its like over one axis, which is an attribute up to opset 17 and an input from 18 on."""
        if self._opset < _AXES_ARE_INPUT:
            return self.op(op_type, value, axes=[axis], keepdims=int(keepdims))
        return self.op(op_type, value, self.ints([axis]), keepdims=int(keepdims))

    def l2_normalise(self, value: str) -> str:
        """value / |value| over the last axis."""
        norm = self.reduce("ReduceL2", value, -1)
        return self.op("Div", value, self.op("Max", norm, self.floats(1e-9)))

    def absorb(self, model: onnx.ModelProto, prefix: str, inputs: Mapping[str, str]) -> dict[str, str]:
        """Copy all of `model` in with prefixed names; `inputs` maps its inputs to our values. Returns all its names."""
        renamed = dict(inputs) | {"": ""}

        def rename(name: str) -> str:
            return renamed.setdefault(name, f"{prefix}/{name}")

        for tensor in model.graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = rename(tensor.name)
            self.initializers.append(copy)
        for node in model.graph.node:
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.name = ""
            for field in (copied.input, copied.output):
                names = [rename(name) for name in field]
                del field[:]
                field.extend(names)
            self.nodes.append(copied)
        return renamed

    def model(self, name: str, keep: Iterable[str] = ()) -> onnx.ModelProto:
        """The finished, checked model; `keep` adds values without a declared shape as further float outputs."""
        extra = [helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for value in keep]
        graph = helper.make_graph(self.nodes, name, self.inputs, [*self.outputs, *extra], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model
