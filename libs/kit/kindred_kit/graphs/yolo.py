"""YOLOv7: the publisher's heads -> at most 300 boxes an image, decoded and thinned out inside the graph.

Sources: Wang et al. 2022, arXiv:2207.02696; WongKinYiu/yolov7, models/yolo.py `Detect`, utils/general.py
`non_max_suppression` (here each box keeps its best class alone, as with multi_label=False).
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from kindred_kit.graphs.builder import GraphBuilder
from kindred_kit.graphs.nms import DETECTIONS, Candidates, Engine, add_nms
from kindred_kit.graphs.pixels import add_pixels, image_input_of, with_size
from kindred_kit.graphs.published import BATCH, keep_outputs, open_batch
from kindred_kit.graphs.wrapping import Wrapping
from kindred_kit.graphs.yolo_heads import ANCHORS, BEFORE_CLASSES, Heads, find_heads
from kindred_kit.models import ImageInput, ModelManifest, Preparation

CANDIDATES = 1_000
"""Most certain boxes of an image that NMS compares, as in kindred_kit.models.boxes."""


def yolo(model: onnx.ModelProto, manifest: ModelManifest, preparation: Preparation, engine: Engine) -> onnx.ModelProto:
    """Raises ModelInvalid where the file has no YOLOv7 head of this manifest's size and classes."""
    frame, classes = manifest.boxes_input, len(manifest.classes)
    model = with_size(model, frame)
    heads = find_heads(model, frame, classes, preparation)
    keep_outputs(model, {value.name for value in heads.outputs})
    published = image_input_of(model)
    open_batch(model)
    wrapping = Wrapping(model)
    add_pixels(wrapping, published, frame, preparation)
    graph = wrapping.after
    candidates = _candidates(graph, _rows(graph, heads, frame, preparation), heads.rows, classes)
    found = add_nms(graph, candidates, classes, preparation, engine)
    sides = graph.floats([frame.width, frame.height] * 2)
    graph.output(graph.op("Div", found.boxes, sides), "boxes", TensorProto.FLOAT, [BATCH, DETECTIONS, 4])
    graph.output(found.scores, "scores", TensorProto.FLOAT, [BATCH, DETECTIONS])
    graph.output(found.classes, "classes", TensorProto.INT64, [BATCH, DETECTIONS])
    return wrapping.finish(manifest.name)


def _rows(graph: GraphBuilder, heads: Heads, frame: ImageInput, preparation: Preparation) -> str:
    """[n, anchors, 5 + classes]: centre and sides in px, objectness, classes."""
    values = [graph.op("Cast", value.name, to=TensorProto.FLOAT) for value in heads.outputs]
    if heads.is_decoded:
        return graph.op("Transpose", values[0], perm=[0, 2, 1]) if heads.columns_first else values[0]
    scales = []
    for number, value in enumerate(values):
        if heads.splits:
            value = graph.op("Reshape", value, graph.ints(heads.splits[number]))
        value = graph.op("Transpose", value, perm=heads.order)
        scales.append(graph.op("Reshape", value, graph.ints([0, -1, heads.columns])))
    raw = graph.op("Concat", *scales, axis=1)
    return _decoded(graph, raw if heads.is_activated else graph.op("Sigmoid", raw), heads, frame, preparation)


def _decoded(graph: GraphBuilder, sure: str, heads: Heads, frame: ImageInput, preparation: Preparation) -> str:
    """Of sigmoids: a centre lies up to one cell outside its own, a side is up to four times its anchor's."""
    cells, strides, anchors = _grid(frame, preparation)
    centre, sides, rest = graph.ops("Split", 3, sure, graph.ints([2, 2, heads.columns - 4]), axis=2)
    centre = graph.op("Add", graph.op("Mul", centre, graph.floats(2)), graph.floats(cells - 0.5))
    centre = graph.op("Mul", centre, graph.floats(strides))
    doubled = graph.op("Mul", sides, graph.floats(2))
    sides = graph.op("Mul", graph.op("Mul", doubled, doubled), graph.floats(anchors))
    return graph.op("Concat", centre, sides, rest, axis=2)


def _grid(
    frame: ImageInput, preparation: Preparation
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each row: its cell's left top corner [k, 2] in cells, stride [k, 1] in px, anchor [k, 2] in px."""
    cells, strides, anchors = [], [], []
    for stride, sides in zip(preparation.strides, preparation.anchors, strict=True):
        y, x = np.mgrid[: frame.height // stride, : frame.width // stride]
        corners = np.stack([x.ravel(), y.ravel()], axis=1)
        cells.append(np.tile(corners, (ANCHORS, 1)))
        strides.append(np.full((ANCHORS * len(corners), 1), stride))
        anchors.append(np.repeat(np.reshape(sides, (ANCHORS, 2)), len(corners), axis=0))
    return np.concatenate(cells).astype(float), np.concatenate(strides).astype(float), np.concatenate(anchors)


def _candidates(graph: GraphBuilder, rows: str, count: int, classes: int) -> Candidates:
    """The most certain rows as boxes xyxy in px with their best class."""
    centre, sides, there, names = graph.ops("Split", 4, rows, graph.ints([2, 2, 1, classes]), axis=2)
    assert BEFORE_CLASSES == 2 + 2 + 1
    scores = graph.op("Mul", names, there)
    best = graph.reduce("ReduceMax", scores, 2, keepdims=False)
    class_ids = graph.op("ArgMax", scores, axis=2, keepdims=0)
    kept, order = graph.ops("TopK", 2, best, graph.ints([min(CANDIDATES, count)]), axis=1, largest=1, sorted=1)
    half = graph.op("Mul", sides, graph.floats(0.5))
    corners = graph.op("Concat", graph.op("Sub", centre, half), graph.op("Add", centre, half), axis=2)
    places = graph.op("Unsqueeze", order, graph.ints([2]))
    return Candidates(
        boxes=graph.op("GatherND", corners, places, batch_dims=1),
        scores=kept,
        classes=graph.op("GatherND", class_ids, places, batch_dims=1),
    )
