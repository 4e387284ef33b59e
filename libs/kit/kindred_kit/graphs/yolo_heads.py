"""What the outputs of a YOLOv7 file are: decoded rows, or the three scales as the network leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.published import Value, listed, outputs_of
from kindred_kit.models import ImageInput, Preparation

ANCHORS = 3
"""Of each cell and scale."""
BEFORE_CLASSES = 5
_LEAST_ROWS = 300
_SHAPING = {"Reshape", "Transpose", "Identity", "Cast", "Squeeze", "Unsqueeze", "Concat"}


@dataclass(frozen=True)
class Heads:
    """`rows` anchors of `columns` numbers each.

    Decoded: one output [n, rows, columns], or [n, columns, rows] where `columns_first`.
    Else three, finest scale first; `splits` are the shapes that give the anchors an axis, where they have none yet,
    `order` the transposition to [n, anchor, y, x, column]; `is_activated`: the sigmoid is in the file.
    """

    outputs: Sequence[Value]
    rows: int
    columns: int
    is_decoded: bool = False
    columns_first: bool = False
    splits: Sequence[Sequence[int]] = ()
    order: Sequence[int] = ()
    is_activated: bool = False


def find_heads(model: onnx.ModelProto, frame: ImageInput, classes: int, preparation: Preparation) -> Heads:
    """Raises ModelInvalid, saying what there is, where there is neither."""
    outputs = outputs_of(model)
    columns = BEFORE_CLASSES + classes
    cells = [(frame.height // stride, frame.width // stride) for stride in preparation.strides]
    rows = sum(ANCHORS * height * width for height, width in cells)
    if rows < _LEAST_ROWS:
        raise ModelInvalid(f"{frame.width} x {frame.height} px make {rows} anchors; there are at least {_LEAST_ROWS}")
    heads = _decoded(outputs, rows, columns) or _raw(model, outputs, cells, rows, columns)
    if heads is not None and not heads.is_decoded and len(preparation.anchors) != len(preparation.strides):
        raise ModelInvalid("the file's heads are not decoded; model.yaml has to list prepare.anchors, a row a stride")
    if heads is not None:
        return heads
    inside = " (it seems to suppress boxes itself; export it without NMS)" if _has_nms(model) else ""
    raise ModelInvalid(
        f"a YOLOv7 of {classes} classes at {frame.width} x {frame.height} px gives [n, {rows}, {columns}], or for each "
        f"of {len(cells)} scales [n, 3, h, w, {columns}]; the file has {listed(outputs)}{inside}"
    )


def _decoded(outputs: Sequence[Value], rows: int, columns: int) -> Heads | None:
    found = [value for value in outputs if len(value.shape) == 3 and set(value.shape[1:]) <= {rows, columns, None}]
    if len(found) != 1 or not set(found[0].shape[1:]) & {rows, columns}:
        return None
    columns_first = found[0].shape[1] == columns or found[0].shape[2] == rows
    return Heads(found, rows, columns, is_decoded=True, columns_first=columns_first)


def _raw(
    model: onnx.ModelProto, outputs: Sequence[Value], cells: Sequence[tuple[int, int]], rows: int, columns: int
) -> Heads | None:
    scales = [scale for height, width in cells if (scale := _scale(outputs, height, width, columns)) is not None]
    layouts = {scale.layout for scale in scales}
    activated = {_is_activated(model, scale.value.name) for scale in scales}
    if len(scales) != len(cells) or len(layouts) != 1 or len(activated) != 1:
        return None
    return Heads(
        [scale.value for scale in scales],
        rows,
        columns,
        splits=[scale.split(columns) for scale in scales] if scales[0].is_flat else (),
        order=_ORDERS[scales[0].layout],
        is_activated=activated.pop(),
    )


_ORDERS = {
    "anchors, rows": [0, 1, 2, 3, 4],
    "rows, anchors": [0, 3, 1, 2, 4],
    "planes": [0, 1, 3, 4, 2],
    "pixels": [0, 3, 1, 2, 4],
}
"""Layout of a head -> transposition of its five axes to [n, anchor, y, x, column]."""


@dataclass(frozen=True)
class _Scale:
    value: Value
    layout: str

    @property
    def is_flat(self) -> bool:
        """Whether anchors and columns share an axis."""
        return self.layout in {"planes", "pixels"}

    def split(self, columns: int) -> list[int]:
        """The shape with five axes; 0 keeps a side."""
        if self.layout == "pixels":
            return [0, 0, 0, ANCHORS, columns]
        return [0, ANCHORS, columns, *(side or 0 for side in self.value.shape[2:])]


def _scale(outputs: Sequence[Value], height: int, width: int, columns: int) -> _Scale | None:
    shapes = {
        "anchors, rows": (ANCHORS, height, width, columns),
        "rows, anchors": (height, width, ANCHORS, columns),
        "planes": (ANCHORS * columns, height, width),
        "pixels": (height, width, ANCHORS * columns),
    }
    found = [_Scale(value, layout) for layout, shape in shapes.items() for value in outputs if value.shape[1:] == shape]
    return found[0] if len(found) == 1 else None


def _is_activated(model: onnx.ModelProto, output: str) -> bool:
    """Whether a sigmoid comes last, shaping aside."""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in _SHAPING:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Sigmoid"


def _has_nms(model: onnx.ModelProto) -> bool:
    return any("NMS" in node.op_type or node.op_type == "NonMaxSuppression" for node in model.graph.node)
