"""Class-aware NMS and a fixed number of boxes inside a graph, for ONNX Runtime and for TensorRT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from kindred_kit.graphs.builder import GraphBuilder
from kindred_kit.models import Preparation

Engine = Literal["onnxruntime", "tensorrt"]
DETECTIONS = 300
PLUGIN_DOMAIN = "TRT"
"""TensorRT's parser finds its plugins by their names; the domain keeps ONNX's checker from looking for a schema."""


@dataclass(frozen=True)
class Candidates:
    """Names of values: `boxes` float32 [n, k, 4] xyxy in px, `scores` float32 [n, k], `classes` int64 [n, k].

    After NMS k is 300, best score first; where fewer are left the rest has score 0 and no extent.
    """

    boxes: str
    scores: str
    classes: str


def add_nms(
    graph: GraphBuilder, candidates: Candidates, classes: int, preparation: Preparation, engine: Engine
) -> Candidates:
    """Of two boxes of one class that overlap by more than `nms_iou` the weaker goes, and all up to `score_floor`."""
    if engine == "tensorrt":
        return _plugin(graph, candidates, classes, preparation)
    return _standard(graph, candidates, classes, preparation)


def _standard(graph: GraphBuilder, candidates: Candidates, classes: int, preparation: Preparation) -> Candidates:
    """NonMaxSuppression lists what it keeps of all images in one list; here each image gets its rows back."""
    selected = graph.op(
        "NonMaxSuppression",
        candidates.boxes,
        _by_class(graph, candidates, classes, class_axis=1),
        graph.ints([DETECTIONS]),
        graph.floats([preparation.nms_iou]),
        graph.floats([preparation.score_floor]),
    )
    image_and_box = graph.op("Gather", selected, graph.ints([0, 2]), axis=1)
    count = graph.op("Gather", graph.op("Shape", selected), graph.ints([0]))
    ones = graph.op("Expand", graph.floats([1.0]), count)
    nothing = graph.op("Expand", graph.floats([0.0]), graph.op("Shape", candidates.scores))
    kept = graph.op("ScatterND", nothing, image_and_box, ones)
    scores, order = graph.ops(
        "TopK", 2, graph.op("Mul", candidates.scores, kept), graph.ints([DETECTIONS]), axis=1, largest=1, sorted=1
    )
    places = graph.op("Unsqueeze", order, graph.ints([2]))
    boxes = graph.op("Mul", candidates.boxes, graph.op("Unsqueeze", kept, graph.ints([2])))
    return Candidates(
        graph.op("GatherND", boxes, places, batch_dims=1),
        scores,
        graph.op("GatherND", candidates.classes, places, batch_dims=1),
    )


def _plugin(graph: GraphBuilder, candidates: Candidates, classes: int, preparation: Preparation) -> Candidates:
    """TensorRT's EfficientNMS. What lies beyond its count is not defined, so it is cleared."""
    count, boxes, scores, class_ids = graph.ops(
        "EfficientNMS_TRT",
        4,
        candidates.boxes,
        _by_class(graph, candidates, classes, class_axis=2),
        domain=PLUGIN_DOMAIN,
        plugin_version="1",
        background_class=-1,
        box_coding=0,  # corners
        iou_threshold=preparation.nms_iou,
        max_output_boxes=DETECTIONS,
        score_activation=0,  # the sigmoid has been
        score_threshold=preparation.score_floor,
    )
    numbers = graph.constant(np.arange(DETECTIONS, dtype=np.int32).reshape(1, DETECTIONS))
    there = graph.op("Less", numbers, count)
    nothing = graph.floats([0.0])
    return Candidates(
        graph.op("Where", graph.op("Unsqueeze", there, graph.ints([2])), boxes, nothing),
        graph.op("Where", there, scores, nothing),
        graph.op("Where", there, graph.op("Cast", class_ids, to=TensorProto.INT64), graph.ints([0])),
    )


def _by_class(graph: GraphBuilder, candidates: Candidates, classes: int, *, class_axis: int) -> str:
    """Scores with an axis of classes, 0 but for each box's own: [n, classes, k] or [n, k, classes]."""
    ids = np.arange(classes, dtype=np.int64)
    names = graph.constant(ids.reshape((1, classes, 1) if class_axis == 1 else (1, 1, classes)))
    axis = graph.ints([class_axis])
    own = graph.op("Equal", graph.op("Unsqueeze", candidates.classes, axis), names)
    return graph.op("Mul", graph.op("Cast", own, to=TensorProto.FLOAT), graph.op("Unsqueeze", candidates.scores, axis))


def plugin_opset() -> onnx.OperatorSetIdProto:
    """What a model with the plugin has to import."""
    return helper.make_opsetid(PLUGIN_DOMAIN, 1)
