"""The image side of every graph: uint8 RGB [n, h, w, 3] in, and what the publisher's network wants out of it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.published import BATCH, Value, fix_sides, inputs_of, listed
from kindred_kit.graphs.wrapping import Wrapping
from kindred_kit.models import ImageInput, Preparation

_WHITE = 255.0


def image_input_of(model: onnx.ModelProto) -> Value:
    """The one input that can be an image. Raises ModelInvalid."""
    inputs = inputs_of(model)
    found = [
        value
        for value in inputs
        if value.dtype in {TensorProto.FLOAT, TensorProto.FLOAT16}
        and len(value.shape) == 4
        and (value.shape[1] in {3, None} or value.shape[3] == 3)
    ]
    if len(found) != 1 or len(inputs) != 1:
        raise ModelInvalid(f"a file of one float image input is needed; this one has {listed(inputs)}")
    return found[0]


def with_size(model: onnx.ModelProto, wanted: ImageInput) -> onnx.ModelProto:
    """A file that takes images of any size, made to take those of model.yaml: then its outputs have sizes too."""
    published = image_input_of(model)
    _, *rows_and_columns = _axes(published)
    sizes = dict(zip(rows_and_columns, (wanted.height, wanted.width), strict=True))
    open_sides = {axis: size for axis, size in sizes.items() if published.shape[axis] is None}
    return fix_sides(model, published.name, open_sides) if open_sides else model


def add_pixels(wrapping: Wrapping, published: Value, wanted: ImageInput, preparation: Preparation) -> None:
    """Cast, scale, mean and std, transpose. Raises ModelInvalid where the sizes are not those of model.yaml."""
    planar, rows, columns = _axes(published)
    height, width = published.shape[rows], published.shape[columns]
    if height not in {wanted.height, None} or width not in {wanted.width, None}:
        raise ModelInvalid(f"model.yaml says {wanted.width} x {wanted.height} px; the file takes {published}")
    graph = wrapping.before
    pixels = graph.input(wanted.name, TensorProto.UINT8, [BATCH, wanted.height, wanted.width, 3])
    value = graph.op("Cast", pixels, to=TensorProto.FLOAT)
    mean, std = np.array(preparation.mean), np.array(preparation.std)
    value = graph.op("Mul", value, graph.floats(1 / (_WHITE * std)))
    if mean.any():
        value = graph.op("Sub", value, graph.floats(mean / std))
    if planar:
        value = graph.op("Transpose", value, perm=[0, 3, 1, 2])
    if published.dtype == TensorProto.FLOAT16:
        value = graph.op("Cast", value, to=TensorProto.FLOAT16)
    wrapping.feed(value, published.name)


def _axes(published: Value) -> tuple[bool, int, int]:
    """(whether the channels come first, axis of the rows, axis of the columns)."""
    planar = published.shape[3] != 3 or published.shape[1] == 3
    return (planar, 2, 3) if planar else (planar, 1, 2)
