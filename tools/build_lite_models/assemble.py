"""The two ONNX graphs that ship, from frozen networks and a fitted head."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from .features import add_features
from .graph import GraphBuilder, optimise, store_half
from .head import DIMENSION, HeadWeights, add_image_head, add_text_head


def image_model(backbone: onnx.ModelProto, centernet: onnx.ModelProto, weights: HeadWeights) -> onnx.ModelProto:
    """uint8 pixels in; embedding, boxes, scores, classes out."""
    graph = GraphBuilder()
    values = add_features(graph, backbone, centernet)
    found = values.detections
    embedding = add_image_head(graph, list(values.blocks.values()), values.conse, found.best, weights)
    graph.output(embedding, "embedding", TensorProto.FLOAT, ["n", DIMENSION])
    graph.output(found.boxes, "boxes", TensorProto.FLOAT, ["n", 100, 4])
    graph.output(found.scores, "scores", TensorProto.FLOAT, ["n", 100])
    graph.output(found.classes, "classes", TensorProto.INT64, ["n", 100])
    return store_half(optimise(graph.model("lite_image")))


def text_model(sentence_encoder: onnx.ModelProto, weights: HeadWeights) -> onnx.ModelProto:
    """Token ids in, embedding out. The int8 weights stay as they are: folding them would quadruple the file."""
    graph = GraphBuilder()
    ids = graph.input("input_ids", TensorProto.INT64, ["n", "s"])
    mask = graph.input("attention_mask", TensorProto.INT64, ["n", "s"])
    first, second = (value.name for value in sentence_encoder.graph.input)
    names = graph.absorb(sentence_encoder, "minilm", {first: ids, second: mask})
    sentence = names[sentence_encoder.graph.output[0].name]
    graph.output(add_text_head(graph, sentence, weights), "embedding", TensorProto.FLOAT, ["n", DIMENSION])
    return graph.model("lite_text")
