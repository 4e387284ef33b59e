"""The frozen part of lite_image: both networks and the feature blocks that the trained head reads."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import TensorProto

from . import detector, encoder
from .colour import add_colour
from .graph import GraphBuilder

BLOCK_SCALES = {"pooled": 1.0, "strongest": 0.5, "posterior": 1.0, "cell_best": 0.5, "objects": 1.0, "colour": 0.3}
"""Block -> its standard deviation in the head's input, in this order. From the recipe; not tuned again."""
POSTERIOR_TEMPERATURE = 1.5
CONSE_TEMPERATURE = 2.0


@dataclass(frozen=True, slots=True)
class FeatureValues:
    """Names of graph values: `blocks` as in BLOCK_SCALES, float32 [n, ...]; the rest is for prior and outputs."""

    blocks: dict[str, str]
    conse: str
    """float32 [n, 1000]: softened class posterior of the whole image"""
    detections: detector.DetectorValues


def add_features(graph: GraphBuilder, backbone: onnx.ModelProto, centernet: onnx.ModelProto) -> FeatureValues:
    """Declares the two inputs of lite_image and computes everything below the head."""
    size = encoder.INPUT_PX
    encoded = encoder.add_encoder(
        graph, backbone, graph.input("encoder_image", TensorProto.UINT8, ["n", size, size, 3])
    )
    size = detector.INPUT_PX
    found = detector.add_detector(
        graph, centernet, graph.input("detector_image", TensorProto.UINT8, ["n", size, size, 3])
    )

    def softened(temperature: float) -> str:
        return graph.op("Softmax", graph.op("Mul", encoded.logits, graph.floats(1 / temperature)), axis=-1)

    blocks = {
        "pooled": _log_unit(graph, encoded.pooled),
        "strongest": _log_unit(graph, encoded.strongest),
        "posterior": graph.op("Sqrt", softened(POSTERIOR_TEMPERATURE)),
        "cell_best": graph.op("Mul", graph.op("Sqrt", encoded.cell_best), graph.floats(1 / 3)),
        "objects": _objects(graph, found),
        "colour": add_colour(graph, encoded.pixels),
    }
    return FeatureValues(blocks, softened(CONSE_TEMPERATURE), found)


def _log_unit(graph: GraphBuilder, value: str) -> str:
    """log(1 + x), L2-normalised: x is never negative after ReLU6."""
    return graph.l2_normalise(graph.op("Log", graph.op("Add", value, graph.floats(1))))


def _objects(graph: GraphBuilder, found: detector.DetectorValues) -> str:
    """float32 [n, 240]: per class the best score, how many, how much of the image."""
    few = graph.op("Mul", graph.op("Min", found.count, graph.floats(5)), graph.floats(0.2))
    return graph.op("Concat", graph.op("Sqrt", found.best), few, graph.op("Sqrt", found.area), axis=1)


def feature_model(backbone: onnx.ModelProto, centernet: onnx.ModelProto) -> onnx.ModelProto:
    """The frozen part alone, each block an output of its name, plus conse, best, boxes, scores, classes."""
    graph = GraphBuilder()
    values = add_features(graph, backbone, centernet)
    found = values.detections
    named = values.blocks | {"conse": values.conse, "best": found.best, "boxes": found.boxes, "scores": found.scores}
    for name, value in named.items():
        graph.output(value, name, TensorProto.FLOAT, ["n", "..."] if name != "boxes" else ["n", 100, 4])
    graph.output(found.classes, "classes", TensorProto.INT64, ["n", 100])
    return graph.model("lite_features")
