"""EfficientNet-Lite2 in the graph: one dense pass, pooled and per-cell features.

EfficientNet (Tan and Le 2019, arXiv:1905.11946); the Lite variant drops squeeze-and-excitation and uses ReLU6.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from .graph import GraphBuilder

INPUT_PX = 320
FEATURES = 1280
CLASSES = 1000


@dataclass(frozen=True, slots=True)
class EncoderValues:
    """Names of graph values; n = images."""

    pixels: str
    """float32 [n, 3, 320, 320], RGB 0-255"""
    pooled: str
    """float32 [n, 1280]: mean over cells"""
    strongest: str
    """float32 [n, 1280]: maximum over cells"""
    logits: str
    """float32 [n, 1000]: ImageNet classes of the whole image"""
    cell_best: str
    """float32 [n, 1000]: the highest posterior that any cell gives to a class"""


def add_encoder(graph: GraphBuilder, backbone: onnx.ModelProto, image: str) -> EncoderValues:
    """`image`: uint8 [n, 320, 320, 3] RGB. `backbone`: NCHW in, (features, logits, feature map) out."""
    pixels = graph.op("Transpose", graph.op("Cast", image, to=onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])
    scaled = graph.op("Mul", graph.op("Sub", pixels, graph.floats(127)), graph.floats(1 / 128))
    names = graph.absorb(backbone, "efficientnet", {backbone.graph.input[0].name: scaled})
    pooled, logits, grid = (names[value.name] for value in backbone.graph.output)
    classifier = next(node for node in backbone.graph.node if node.op_type == "Gemm")
    weight, bias = (names[name] for name in classifier.input[1:])

    cells = graph.op("Reshape", grid, graph.ints([0, FEATURES, -1]))
    cell_logits = graph.op("Add", graph.op("MatMul", weight, cells), graph.op("Unsqueeze", bias, graph.ints([1])))
    posterior = graph.op("Softmax", cell_logits, axis=1)
    return EncoderValues(
        pixels=pixels,
        pooled=pooled,
        strongest=graph.op("ReduceMax", cells, axes=[2], keepdims=0),
        logits=logits,
        cell_best=graph.op("ReduceMax", posterior, axes=[2], keepdims=0),
    )
