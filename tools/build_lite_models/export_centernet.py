"""CenterNet from its TensorFlow.js graph to ONNX, without TensorFlow, NHWC turned to NCHW."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from .detector import CELLS, CLASSES, INPUT_PX
from .graph import GraphBuilder

INPUT = "tower_0/images"
OUTPUTS = {"tower_0/wh": 4, "tower_0/keypoints": CLASSES}
"""Name -> channels; [n, 128, 128, channels] each. What follows them in the file is in detector.py."""

PLAIN = {"Relu": "Relu", "Sigmoid": "Sigmoid", "Identity": "Identity", "Add": "Add", "Mul": "Mul"}

HARD_SWISH = "/hard_swish/mul_1"
"""How the last of the four operations of a hard swish is called."""


class UnsupportedOperation(Exception):
    """The graph is not the one this was written for."""


def export(model_json: Path) -> onnx.ModelProto:
    """images float32 [n, 512, 512, 3] RGB 0-255 -> the OUTPUTS."""
    content = json.loads(model_json.read_text())
    nodes = {node["name"]: node for node in content["modelTopology"]["node"]}
    return _Translation(nodes, _weights(content, model_json.parent)).build()


def _weights(content: dict[str, Any], folder: Path) -> dict[str, NDArray[Any]]:
    """Name -> array; float16 on disk, float32 or int32 in the graph."""
    found: dict[str, NDArray[Any]] = {}
    for group in content["weightsManifest"]:
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, stored, count, offset)
            found[entry["name"]] = values.astype(entry["dtype"]).reshape(entry["shape"])
            offset += count * stored.itemsize
    return found


class _Translation:
    """Translates what the outputs need, inputs first; every value is NCHW."""

    def __init__(self, nodes: dict[str, dict[str, Any]], weights: dict[str, NDArray[Any]]) -> None:
        self._nodes = nodes
        self._weights = weights
        self._graph = GraphBuilder()
        self._done: dict[str, str] = {}

    def build(self) -> onnx.ModelProto:
        graph = self._graph
        images = graph.input(INPUT, TensorProto.FLOAT, ["n", INPUT_PX, INPUT_PX, 3])
        self._done[INPUT] = graph.op("Transpose", images, perm=[0, 3, 1, 2])
        for name in self._needed():
            if name != INPUT:
                self._done[name] = self._operation(self._nodes[name])
        for name, channels in OUTPUTS.items():
            value = graph.op("Transpose", self._done[name], perm=[0, 2, 3, 1])
            graph.output(value, name, TensorProto.FLOAT, ["n", CELLS, CELLS, channels])
        return graph.model("centernet")

    def _needed(self) -> Iterable[str]:
        """The operations under the outputs, each after its inputs."""
        order: TopologicalSorter[str] = TopologicalSorter()
        seen: set[str] = set()
        waiting = list(OUTPUTS)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            inputs = [source for source in self._nodes[name].get("input", []) if source not in self._weights]
            order.add(name, *inputs)
            waiting += inputs
        return order.static_order()

    def _value(self, name: str) -> str:
        return self._constant(name) if name in self._weights else self._done[name]

    def _constant(self, name: str) -> str:
        """A scalar, or one value for each channel."""
        values = self._weights[name]
        if values.ndim > 1 and values.size != values.shape[-1]:
            raise UnsupportedOperation(f"constant {name} of shape {values.shape} in arithmetic")
        return self._graph.floats(values.reshape(-1, 1, 1))

    def _operation(self, node: dict[str, Any]) -> str:
        graph, kind = self._graph, node["op"]
        if node["name"].endswith(HARD_SWISH):
            return self._hard_swish(node)
        match kind:
            case "Conv2D" | "_FusedConv2D" | "DepthwiseConv2dNative" | "FusedDepthwiseConv2dNative":
                return self._convolution(node)
            case "Relu6":
                return graph.op("Clip", self._value(node["input"][0]), graph.floats(0), graph.floats(6))
            case "Mean":
                return graph.op("ReduceMean", self._value(node["input"][0]), axes=[2, 3], keepdims=1)
            case "ConcatV2":
                return graph.op("Concat", *(self._value(name) for name in node["input"][:-1]), axis=1)
            case "ResizeBilinear":
                return self._double(self._value(node["input"][0]))
            case _ if kind in PLAIN:
                return graph.op(PLAIN[kind], *(self._value(name) for name in node["input"]))
            case _:
                raise UnsupportedOperation(f"{kind} ({node['name']})")

    def _double(self, value: str) -> str:
        """Twice the side, as TensorFlow 1 did it: no half-pixel shift."""
        scales = self._graph.floats([1, 1, 2, 2])
        return self._graph.op("Resize", value, "", scales, mode="linear", coordinate_transformation_mode="asymmetric")

    def _hard_swish(self, node: dict[str, Any]) -> str:
        """x * relu6(x + 3) / 6: two operations in place of four, which on a CPU are four passes over memory."""
        scaled = self._nodes[node["input"][0]]
        value = self._value(scaled["input"][1])
        return self._graph.op("Mul", value, self._graph.op("HardSigmoid", value, alpha=1 / 6, beta=0.5))

    def _convolution(self, node: dict[str, Any]) -> str:
        """Kernels are [height, width, in, out]; depthwise ones [height, width, channels, 1]. Fused: bias, then ReLU."""
        source, kernel_name, *rest = node["input"]
        depthwise = "Depthwise" in node["op"]
        kernel = self._weights[kernel_name]
        attributes = node["attr"]
        stride = int(attributes["strides"]["list"]["i"][1])
        fused = [
            base64.b64decode(name).decode() for name in attributes.get("fused_ops", {}).get("list", {}).get("s", [])
        ]
        if fused not in ([], ["BiasAdd"], ["BiasAdd", "Relu"]):
            raise UnsupportedOperation(f"{node['name']} with {fused}")
        bias = [self._graph.floats(self._weights[rest[0]])] if fused else []
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        value = self._graph.op(
            "Conv",
            self._value(source),
            self._graph.floats(kernel.transpose(order)),
            *bias,
            kernel_shape=list(kernel.shape[:2]),
            strides=[stride, stride],
            group=kernel.shape[2] if depthwise else 1,
            auto_pad="SAME_UPPER" if _text(attributes["padding"]) == "SAME" else "VALID",
        )
        return self._graph.op("Relu", value) if "Relu" in fused else value


def _text(attribute: dict[str, str]) -> str:
    return base64.b64decode(attribute["s"]).decode()
