"""Synthetic heads of YOLOv7, a publisher's file that answers with them, and what a plain numpy reading of them finds.

Source: WongKinYiu/yolov7, models/yolo.py `Detect.forward`, utils/general.py `non_max_suppression`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from kindred_kit.graphs.builder import GraphBuilder

PX = 640
CLASSES = 80
STRIDES = (8, 16, 32)
ANCHORS = (
    ((12, 16), (19, 36), (40, 28)),
    ((36, 75), (76, 55), (72, 146)),
    ((142, 110), (192, 243), (459, 401)),
)
Heads = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Thing:
    """`box` is centre and sides in px of the input; logits of objectness and of its class."""

    box: tuple[float, float, float, float]
    class_id: int
    objectness: float = 4.0
    certainty: float = 4.0


def empty_heads(random: np.random.Generator) -> Heads:
    """Three scales [3, h, w, 85] of logits in which nothing is sure."""
    heads = []
    for stride in STRIDES:
        head = random.normal(-7, 1.5, (3, PX // stride, PX // stride, 5 + CLASSES)).astype(np.float32)
        head[..., :4] = random.normal(0, 1, head[..., :4].shape)
        heads.append(head)
    return heads


def put(heads: Heads, thing: Thing, scale: int, anchor: int) -> None:
    """Let the cell at the centre of a thing see it; the sides are at most four times the anchor's."""
    x, y, width, height = thing.box
    stride, (anchor_w, anchor_h) = STRIDES[scale], ANCHORS[scale][anchor]
    column, row = min(int(x / stride), PX // stride - 1), min(int(y / stride), PX // stride - 1)
    shares = [
        (x / stride - column + 0.5) / 2,
        (y / stride - row + 0.5) / 2,
        np.sqrt(width / anchor_w) / 2,
        np.sqrt(height / anchor_h) / 2,
    ]
    cell = heads[scale][anchor, row, column]
    cell[:4] = [np.log(share / (1 - share)) for share in shares]
    cell[4] = thing.objectness
    cell[5 + thing.class_id] = thing.certainty


def crowded_heads(seed: int) -> Heads:
    """Forty objects, each seen by several cells a little differently, so that NMS has something to do."""
    random = np.random.default_rng(seed)
    heads = empty_heads(random)
    for _ in range(40):
        scale, anchor, class_id = int(random.integers(3)), int(random.integers(3)), int(random.integers(CLASSES))
        sides = np.array(ANCHORS[scale][anchor]) * random.uniform(0.5, 2.5, 2)
        centre = random.uniform(30, PX - 30, 2)
        for _ in range(int(random.integers(1, 9))):
            shifted = np.clip(centre + random.normal(0, 6, 2), 1, PX - 1)
            box = (*(float(v) for v in shifted), *(float(v) for v in sides * random.uniform(0.85, 1.15, 2)))
            other = class_id if random.random() < 0.8 else int(random.integers(CLASSES))
            put(heads, Thing(box, other, *random.uniform(-1, 4, 2)), scale, anchor)
    return heads


def publisher_file(
    all_heads: Sequence[Heads], *, layout: str = "anchors, rows", activated: bool = False, open_batch: bool = True
) -> onnx.ModelProto:
    """A file whose answer to an image is `all_heads[k]`, k the value of its first pixel (round and round).

    `layout`: decoded, decoded columns first, or as kindred_kit.graphs.yolo_heads has them.
    """
    graph = GraphBuilder()
    batch: int | str = "batch" if open_batch else 1
    pixels = graph.input("images", TensorProto.FLOAT, [batch, 3, PX, PX])
    first = graph.op("Slice", pixels, graph.ints([0, 0, 0]), graph.ints([1, 1, 1]), graph.ints([1, 2, 3]))
    first = graph.op("Reshape", graph.op("Mul", first, graph.floats([255.0])), graph.ints([-1]))
    which = graph.op(
        "Mod", graph.op("Cast", graph.op("Round", first), to=TensorProto.INT64), graph.ints(len(all_heads))
    )
    if layout.startswith("decoded"):
        rows = np.stack([decoded(heads) for heads in all_heads])
        rows = rows.transpose(0, 2, 1) if layout.endswith("columns first") else rows
        graph.output(graph.op("Gather", graph.floats(rows), which), "out", TensorProto.FLOAT, [batch, *rows.shape[1:]])
        return graph.model("yolo")
    for scale in (2, 0, 1):  # in no order that could be relied on
        value = _laid_out(np.stack([heads[scale] for heads in all_heads]), layout)
        head = graph.op("Gather", graph.floats(value), which)
        if activated:
            head = graph.op("Sigmoid", head)
        graph.output(head, f"out{scale}", TensorProto.FLOAT, [batch, *value.shape[1:]])
    return graph.model("yolo")


def network_file(*, decodes: bool, opset: int, any_size: bool = False, seed: int = 1) -> onnx.ModelProto:
    """A real if small network, exported for one image: three strided convolutions, and `Detect` where it `decodes`.

    `any_size`: one that takes images of any size, and any number of them. No operator in it has changed between opsets
    11 and 20.
    """
    random = np.random.default_rng(seed)
    graph = GraphBuilder(opset=opset)
    free: list[int | str] = ["n", 3, "h", "w"]
    pixels = graph.input("images", TensorProto.FLOAT, free if any_size else [1, 3, PX, PX])
    rows = []
    for stride, anchors in zip(STRIDES, ANCHORS, strict=True):
        cells, columns = PX // stride, 5 + CLASSES
        kernel = random.normal(0, 4 / stride, (3 * columns, 3, stride, stride)).astype(np.float32)
        bias = graph.floats(random.normal(-2, 1, 3 * columns))
        head = graph.op("Conv", pixels, graph.floats(kernel), bias, strides=[stride, stride])
        if any_size:
            graph.output(head, f"head{stride}", TensorProto.FLOAT, ["n", 3 * columns, f"h{stride}", f"w{stride}"])
            continue
        split = graph.op("Reshape", head, graph.ints([1, 3, columns, cells, cells]))
        head = graph.op("Transpose", split, perm=[0, 1, 3, 4, 2])
        if not decodes:
            graph.output(head, f"head{stride}", TensorProto.FLOAT, [1, 3, cells, cells, columns])
            continue
        sure = graph.op("Sigmoid", head)
        scale, shift = np.ones((2, 3, cells, cells, columns), np.float32)
        shift[:] = 0
        y, x = np.mgrid[:cells, :cells]
        scale[..., :2], shift[..., 0], shift[..., 1] = 2 * stride, (x - 0.5) * stride, (y - 0.5) * stride
        moved = graph.op("Add", graph.op("Mul", sure, graph.floats(scale)), graph.floats(shift))
        squares = np.ones((3, 1, 1, columns), np.float32)
        squares[..., 2:4] = 4 * np.array(anchors, np.float32).reshape(3, 1, 1, 2)
        is_side = np.zeros(columns, np.float32)
        is_side[2:4] = 1
        sides = graph.op("Mul", graph.op("Mul", sure, sure), graph.floats(squares))
        both = [graph.op("Mul", moved, graph.floats(1 - is_side)), graph.op("Mul", sides, graph.floats(is_side))]
        rows.append(graph.op("Reshape", graph.op("Add", *both), graph.ints([1, -1, columns])))
    if decodes:
        every = sum(3 * (PX // stride) ** 2 for stride in STRIDES)
        graph.output(graph.op("Concat", *rows, axis=1), "output", TensorProto.FLOAT, [1, every, 5 + CLASSES])
    return graph.model("network")


def _laid_out(head: NDArray[np.float32], layout: str) -> NDArray[np.float32]:
    n, anchors, height, width, columns = head.shape
    if layout == "planes":
        return head.transpose(0, 1, 4, 2, 3).reshape(n, anchors * columns, height, width)
    if layout == "pixels":
        return head.transpose(0, 2, 3, 1, 4).reshape(n, height, width, anchors * columns)
    return head.transpose(0, 2, 3, 1, 4) if layout == "rows, anchors" else head


def images_of(numbers: Sequence[int]) -> NDArray[np.uint8]:
    """uint8 [n, 640, 640, 3] that ask the publisher's file for these heads."""
    pixels = np.full((len(numbers), PX, PX, 3), 114, np.uint8)
    pixels[:, 0, 0, 0] = numbers
    return pixels


def decoded(heads: Heads) -> NDArray[np.float32]:
    """[25200, 85]: centre and sides in px, then probabilities."""
    rows = []
    for head, stride, anchors in zip(heads, STRIDES, ANCHORS, strict=True):
        sure = 1 / (1 + np.exp(-head.astype(np.float64)))
        for anchor, sides in enumerate(anchors):
            for row in range(head.shape[1]):
                line = sure[anchor, row].copy()
                line[:, 0] = (line[:, 0] * 2 - 0.5 + np.arange(head.shape[2])) * stride
                line[:, 1] = (line[:, 1] * 2 - 0.5 + row) * stride
                line[:, 2] = (line[:, 2] * 2) ** 2 * sides[0]
                line[:, 3] = (line[:, 3] * 2) ** 2 * sides[1]
                rows.append(line)
    return np.concatenate(rows).astype(np.float32)


def reference(rows: NDArray[np.float32], nms_iou: float, floor: float) -> list[tuple[int, float, NDArray[np.float32]]]:
    """(class, score, xyxy in px), best first: the plain way, box by box."""
    scores = rows[:, 5:] * rows[:, 4:5]
    classes = scores.argmax(1)
    best = scores.max(1)
    order = [int(i) for i in np.argsort(-best, kind="stable")[:1000] if best[i] > floor]
    kept: list[tuple[int, float, NDArray[np.float32]]] = []
    for number in order:
        x, y, width, height = rows[number, :4]
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
        class_id = int(classes[number])
        if all(other != class_id or _iou(box, known) <= nms_iou for other, _, known in kept):
            kept.append((class_id, float(best[number]), box))
    return kept[:300]


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    overlap = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - overlap
    return overlap / union if union > 0 else 0.0
