"""CenterNet in the graph: heat map and extents to boxes, scores, classes, and to the evidence that the head reads.

Objects as points (Zhou et al. 2019, arXiv:1904.07850); the extents are four distances to the box sides, as in
TTFNet (Liu et al. 2019, arXiv:1909.00700).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from .graph import GraphBuilder

INPUT_PX = 512
CELLS = 128
CLASSES = 80
MAX_DETECTIONS = 100
EVIDENCE_FLOOR = 0.1
"""Peaks below this score say nothing about the image; subtracting it keeps the evidence continuous in the score."""


@dataclass(frozen=True, slots=True)
class DetectorValues:
    """Names of graph values. n = images, boxes xyxy in [0, 1] of the detector input, scores descending."""

    boxes: str
    """float32 [n, 100, 4]"""
    scores: str
    """float32 [n, 100]"""
    classes: str
    """int64 [n, 100]"""
    best: str
    """float32 [n, 80]: the highest score of each class"""
    count: str
    """float32 [n, 80]: sum of peak scores above the floor"""
    area: str
    """float32 [n, 80]: the same, weighted by each box's share of the image"""


def add_detector(graph: GraphBuilder, centernet: onnx.ModelProto, image: str) -> DetectorValues:
    """`image`: uint8 [n, 512, 512, 3] RGB."""
    pixels = graph.op("Cast", image, to=onnx.TensorProto.FLOAT)
    names = graph.absorb(_dynamic_batch(centernet), "centernet", {centernet.graph.input[0].name: pixels})
    heat = graph.op("Transpose", names["tower_0/keypoints"], perm=[0, 3, 1, 2])
    extents = graph.op("Transpose", names["tower_0/wh"], perm=[0, 3, 1, 2])
    corners = _corners(graph, extents)
    peaks = _peaks(graph, heat)
    boxes, scores, classes = _top(graph, corners, peaks)
    count, area = _evidence(graph, corners, peaks)
    best = graph.op("ReduceMax", heat, axes=[2, 3], keepdims=0)
    return DetectorValues(boxes, scores, classes, best, count, area)


def _dynamic_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    return copy


def _corners(graph: GraphBuilder, extents: str) -> str:
    """float32 [n, 4, cells, cells]: the box of every cell, xyxy, clipped to [0, 1]. Extents are in input pixels."""
    position = np.arange(CELLS, dtype=np.float32) / CELLS
    x, y = np.broadcast_to(position, (CELLS, CELLS)), np.broadcast_to(position[:, None], (CELLS, CELLS))
    centre = graph.floats(np.stack([x, y, x, y])[None])
    signed = graph.floats(np.array([-1, -1, 1, 1], np.float32).reshape(1, 4, 1, 1) / INPUT_PX)
    corners = graph.op("Add", centre, graph.op("Mul", extents, signed))
    return graph.op("Clip", corners, graph.floats(0), graph.floats(1))


def _peaks(graph: GraphBuilder, heat: str) -> str:
    """The heat map with everything that is not the highest of its 3x3 neighbourhood set to zero."""
    highest = graph.op("MaxPool", heat, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    is_peak = graph.op("Cast", graph.op("Equal", heat, highest), to=onnx.TensorProto.FLOAT)
    return graph.op("Mul", heat, is_peak)


def _top(graph: GraphBuilder, corners: str, peaks: str) -> tuple[str, str, str]:
    flat = graph.op("Reshape", peaks, graph.ints([0, -1]))
    scores, index = graph.ops("TopK", 2, flat, graph.ints([MAX_DETECTIONS]), axis=-1, largest=1, sorted=1)
    cells = graph.ints(CELLS * CELLS)
    classes = graph.op("Div", index, cells)
    cell = graph.op("Sub", index, graph.op("Mul", classes, cells))
    where = graph.op("Unsqueeze", cell, graph.ints([1]))
    where = graph.op("Expand", where, graph.ints([1, 4, 1]))
    chosen = graph.op("GatherElements", graph.op("Reshape", corners, graph.ints([0, 4, -1])), where, axis=2)
    return graph.op("Transpose", chosen, perm=[0, 2, 1]), scores, classes


def _evidence(graph: GraphBuilder, corners: str, peaks: str) -> tuple[str, str]:
    above = graph.op("Relu", graph.op("Sub", peaks, graph.floats(EVIDENCE_FLOOR)))
    x_min, y_min, x_max, y_max = graph.ops("Split", 4, corners, axis=1)
    share = graph.op("Mul", graph.op("Sub", x_max, x_min), graph.op("Sub", y_max, y_min))
    count = graph.op("ReduceSum", above, graph.ints([2, 3]), keepdims=0)
    area = graph.op("ReduceSum", graph.op("Mul", above, share), graph.ints([2, 3]), keepdims=0)
    return count, area
