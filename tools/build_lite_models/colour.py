"""The colour block: hue, brightness and their spread, for the whole image, its halves and its centre."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .graph import GraphBuilder

SIDE = 32
HUE_BINS = 8
VALUE_BINS = 4
REGIONS = ((0, 32, 0, 32), (0, 16, 0, 32), (16, 32, 0, 32), (8, 24, 8, 24))
"""top, bottom, left, right in cells of the 32x32 thumbnail: all, upper half, lower half, centre."""
SIZE = len(REGIONS) * (HUE_BINS + VALUE_BINS + 4)


def add_colour(graph: GraphBuilder, pixels: str) -> str:
    """float32 [n, 64] from float32 [n, 3, 320, 320] RGB 0-255."""
    thumbnail = graph.op("AveragePool", pixels, kernel_shape=[10, 10], strides=[10, 10])
    hue, saturation, value = _hsv(graph, graph.op("Mul", thumbnail, graph.floats(1 / 255)))
    planes = [
        graph.op("Mul", _one_hot(graph, hue, HUE_BINS), graph.op("Mul", saturation, value)),
        _one_hot(graph, value, VALUE_BINS),
        saturation,
        value,
    ]
    stacked = graph.op("Concat", *planes, axis=1)
    return graph.op("Concat", *(_region(graph, stacked, region) for region in REGIONS), axis=1)


def _hsv(graph: GraphBuilder, rgb: str) -> tuple[str, str, str]:
    """Hue, saturation, value in [0, 1], each [n, 1, 32, 32]."""
    red, green, blue = graph.ops("Split", 3, rgb, axis=1)
    value = graph.op("ReduceMax", rgb, axes=[1], keepdims=1)
    chroma = graph.op("Sub", value, graph.op("ReduceMin", rgb, axes=[1], keepdims=1))
    safe = graph.op("Max", chroma, graph.floats(1e-6))
    saturation = graph.op("Div", chroma, graph.op("Max", value, graph.floats(1e-6)))

    def sector(first: str, second: str, offset: float) -> str:
        return graph.op("Add", graph.op("Div", graph.op("Sub", first, second), safe), graph.floats(offset))

    other = graph.op("Where", graph.op("Equal", green, value), sector(blue, red, 2), sector(red, green, 4))
    sixths = graph.op("Where", graph.op("Equal", red, value), sector(green, blue, 6), other)
    return graph.op("Mod", graph.op("Mul", sixths, graph.floats(1 / 6)), graph.floats(1), fmod=1), saturation, value


def _one_hot(graph: GraphBuilder, plane: str, bins: int) -> str:
    """[n, 1, 32, 32] in [0, 1] -> [n, bins, 32, 32] of zeros and ones."""
    scaled = graph.op("Floor", graph.op("Mul", plane, graph.floats(bins)))
    index = graph.op("Min", scaled, graph.floats(bins - 1))
    wanted = graph.floats(np.arange(bins, dtype=np.float32).reshape(1, bins, 1, 1))
    return graph.op("Cast", graph.op("Equal", index, wanted), to=TensorProto.FLOAT)


def _region(graph: GraphBuilder, planes: str, region: tuple[int, int, int, int]) -> str:
    """Mean of every plane and the standard deviation of the last two (saturation, value): [n, 16]."""
    top, bottom, left, right = region
    cut = graph.op("Slice", planes, graph.ints([top, left]), graph.ints([bottom, right]), graph.ints([2, 3]))
    mean = graph.op("ReduceMean", cut, axes=[2, 3], keepdims=1)
    residual = graph.op("Sub", cut, mean)
    variance = graph.op("ReduceMean", graph.op("Mul", residual, residual), axes=[2, 3], keepdims=0)
    last_two = graph.op("Slice", variance, graph.ints([-2]), graph.ints([HUE_BINS + VALUE_BINS + 2]), graph.ints([1]))
    return graph.op("Concat", graph.op("Flatten", mean, axis=1), graph.op("Sqrt", last_two), axis=1)
