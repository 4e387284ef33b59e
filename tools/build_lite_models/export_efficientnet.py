"""EfficientNet-Lite2 from its PyTorch weights to ONNX, batch normalisation folded into the convolutions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from .encoder import FEATURES, INPUT_PX
from .graph import GraphBuilder
from .torch_file import read_state_dict

STAGES = ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))
"""(blocks, stride of the first) of the seven stages: B0's, depth x 1.2, the first and the last stage kept."""
NORM_EPSILON = 1e-3
TRAINED_PX = 260
"""Padding is that of the resolution the weights were trained at, whatever the input: it decides where cells look."""

Weights = dict[str, NDArray[Any]]


def export(weights_file: Path) -> onnx.ModelProto:
    """image float32 [n, 3, 320, 320], (RGB - 127) / 128 -> features [n, 1280], logits [n, 1000], grid of features."""
    weights = read_state_dict(weights_file)
    graph = GraphBuilder()
    value = graph.input("image", TensorProto.FLOAT, ["n", 3, INPUT_PX, INPUT_PX])
    value = _relu6(graph, _convolution(graph, weights, "_conv_stem", "_bn0", value, stride=2, size=TRAINED_PX))
    size = math.ceil(TRAINED_PX / 2)
    strides = [stride if first == 0 else 1 for blocks, stride in STAGES for first in range(blocks)]
    for index, stride in enumerate(strides):
        value = _block(graph, weights, f"_blocks.{index}.", value, stride, size)
        size = math.ceil(size / stride)
    grid = _relu6(graph, _convolution(graph, weights, "_conv_head", "_bn1", value))
    features = graph.op("Flatten", graph.op("GlobalAveragePool", grid), axis=1)
    classifier = graph.floats(weights["_fc.weight"]), graph.floats(weights["_fc.bias"])
    logits = graph.op("Gemm", features, *classifier, transB=1)
    graph.output(features, "features", TensorProto.FLOAT, ["n", FEATURES])
    graph.output(logits, "logits", TensorProto.FLOAT, ["n", len(weights["_fc.bias"])])
    graph.output(grid, "grid", TensorProto.FLOAT, ["n", FEATURES, INPUT_PX // 32, INPUT_PX // 32])
    return graph.model("efficientnet_lite2")


def _block(graph: GraphBuilder, weights: Weights, prefix: str, value: str, stride: int, size: int) -> str:
    """Inverted residual: expand 1x1, depthwise, project 1x1; added to its input where the shapes agree."""
    inner = value
    if f"{prefix}_expand_conv.weight" in weights:
        inner = _relu6(graph, _convolution(graph, weights, f"{prefix}_expand_conv", f"{prefix}_bn0", inner))
    inner = _relu6(
        graph, _convolution(graph, weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", inner, stride, size)
    )
    inner = _convolution(graph, weights, f"{prefix}_project_conv", f"{prefix}_bn2", inner)
    first = weights.get(f"{prefix}_expand_conv.weight")
    channels = weights[f"{prefix}_depthwise_conv.weight"].shape[0] if first is None else first.shape[1]
    same = stride == 1 and channels == weights[f"{prefix}_project_conv.weight"].shape[0]
    return graph.op("Add", inner, value) if same else inner


def _convolution(
    graph: GraphBuilder, weights: Weights, name: str, norm: str, value: str, stride: int = 1, size: int = 1
) -> str:
    """'Same' padding as TensorFlow does it for an input of `size`: of an odd total, the larger half comes after."""
    kernel = weights[f"{name}.weight"]
    gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + NORM_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
    folded = (kernel * gain[:, None, None, None]).astype(np.float32)
    side = kernel.shape[2]
    total = (math.ceil(size / stride) - 1) * stride + side - size
    before, after = total // 2, total - total // 2
    return graph.op(
        "Conv",
        value,
        graph.floats(folded),
        graph.floats(bias),
        kernel_shape=[side, side],
        strides=[stride, stride],
        pads=[before, before, after, after],
        group=kernel.shape[0] if "_depthwise_" in name else 1,
    )


def _relu6(graph: GraphBuilder, value: str) -> str:
    return graph.op("Clip", value, graph.floats(0), graph.floats(6))
