"""Resize and crop RGB pixels for a model's input.

Every resize is Pillow's BICUBIC with antialiasing (Catmull-Rom, a = -0.5), computed by cykooz-resizer's SIMD code. The
library is called twice, rows first, because Pillow rounds to 8 bits between its horizontal and its vertical pass: in
one call the library goes the other way round and differs from Pillow by up to 13 levels beside hard edges (2 this way,
for about the same time).

Threads: a Resizer guards its buffers with a mutex, so each thread has its own. The convolution releases the GIL;
copying pixels in and out (0.2 ms a megapixel each) does not, since the library takes and gives `bytes` alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from cykooz_resizer import (  # type: ignore[import-untyped,unused-ignore]
    CropBox,
    FilterType,
    ImageData,
    PixelType,
    ResizeAlg,
    ResizeOptions,
    Resizer,
)
from numpy.typing import NDArray

from kindred_kit.imaging.geometry import Letterbox

# Catmull-Rom reaches two source pixels to each side, times the reduction; one more for rounding.
_FILTER_RADIUS_PX = 2
# Rows first on a 1 x 4000 image would build a 224 x 4000 one; beyond this growth the columns go first.
_MAX_GROWTH = 4

_per_thread = threading.local()


@dataclass(frozen=True)
class _Span:
    """A stretch of one source axis, in pixels, fractional."""

    start: float
    length: float


def resize_stretch(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize uint8 [h, w, 3] to exactly uint8 [height, width, 3], aspect not kept (the lite models' input).

    Within 2 levels of Pillow's BICUBIC, except where an extreme aspect (1 x 4000) makes the order of passes change.
    Raises ValueError for another shape or dtype, or a side below 1. Source: Pillow, src/libImaging/Resample.c.
    """
    require_rgb(pixels)
    source_height, source_width = pixels.shape[:2]
    return _resample(pixels, _Span(0, source_width), _Span(0, source_height), width, height)


def resize_letterbox(
    pixels: NDArray[np.uint8], width: int, height: int, fill: int = 114, *, centred: bool = True
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit uint8 [h, w, 3] into uint8 [height, width, 3], aspect kept, on `fill` (0..255; YOLO pads with 114).

    The image lies in the middle, or at the top left as YOLOX has it.
    The Letterbox maps boxes back. A side that would round to nothing is 1 px. Raises ValueError as `resize_stretch`.
    Source: YOLOv7, utils/datasets.py `letterbox` (auto=False, scaleup=True), with Pillow's filter for OpenCV's.
    """
    require_rgb(pixels)
    source_height, source_width = pixels.shape[:2]
    scale = min(width / source_width, height / source_height)
    inner_width = min(width, max(1, round(source_width * scale)))
    inner_height = min(height, max(1, round(source_height * scale)))
    pad_x, pad_y = ((width - inner_width) // 2, (height - inner_height) // 2) if centred else (0, 0)
    inner = resize_stretch(pixels, inner_width, inner_height)
    padded = np.full((height, width, 3), fill, np.uint8)
    padded[pad_y : pad_y + inner_height, pad_x : pad_x + inner_width] = inner
    return padded, Letterbox(scale, pad_x, pad_y, source_width, source_height)


def resize_center_crop(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Shorter side to `size`, then the central square: uint8 [h, w, 3] -> uint8 [size, size, 3] (CLIP's input).

    The window is cut first and only it is resized, so a 1 x 4000 image costs no more than another; the sub-pixel window
    is the one that resizing first would have left. Raises ValueError as `resize_stretch`.
    Source: OpenAI CLIP, clip/clip.py `_transform` (torchvision Resize, then CenterCrop).
    """
    require_rgb(pixels)
    source_height, source_width = pixels.shape[:2]
    short = min(source_width, source_height)
    return _resample(
        pixels, _central_span(source_width, short, size), _central_span(source_height, short, size), size, size
    )


def _central_span(side: int, short: int, size: int) -> _Span:
    if size < 1:
        raise ValueError(f"a resized side must be at least 1 px, not {size}")
    resized = max(size, size * side // short)  # torchvision truncates the longer side
    start = round((resized - size) / 2)
    return _Span(start * side / resized, size * side / resized)


def _resample(pixels: NDArray[np.uint8], across: _Span, down: _Span, width: int, height: int) -> NDArray[np.uint8]:
    """Resize the window `across` x `down` of the source to width x height."""
    if width < 1 or height < 1:
        raise ValueError(f"a resized side must be at least 1 px, not {width} x {height}")
    pixels, across, down = _cut(pixels, across, down, width, height)
    source_height, source_width = pixels.shape[:2]
    largest = max(source_width * source_height, width * height)
    source = ImageData(source_width, source_height, PixelType.U8x3, pixels.tobytes())
    target = ImageData(width, height, PixelType.U8x3)
    if width * source_height <= _MAX_GROWTH * largest:
        between = ImageData(width, source_height, PixelType.U8x3)
        _pass(source, between, CropBox(across.start, 0, across.length, source_height))
        _pass(between, target, CropBox(0, down.start, width, down.length))
    else:
        between = ImageData(source_width, height, PixelType.U8x3)
        _pass(source, between, CropBox(0, down.start, source_width, down.length))
        _pass(between, target, CropBox(across.start, 0, across.length, height))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, 3)


def _cut(
    pixels: NDArray[np.uint8], across: _Span, down: _Span, width: int, height: int
) -> tuple[NDArray[np.uint8], _Span, _Span]:
    """Drop the pixels that no filter tap can reach, before anything is copied."""
    x_from, x_to = _reach(across, width, pixels.shape[1])
    y_from, y_to = _reach(down, height, pixels.shape[0])
    window = pixels[y_from:y_to, x_from:x_to]
    # Rounding in the last bit must not push a span over the edge: the library refuses that.
    return window, _within(across, x_from, window.shape[1]), _within(down, y_from, window.shape[0])


def _reach(span: _Span, target: int, limit: int) -> tuple[int, int]:
    margin = _FILTER_RADIUS_PX * max(1.0, span.length / target) + 1
    return max(0, int(span.start - margin)), min(limit, int(span.start + span.length + margin) + 1)


def _within(span: _Span, offset: int, limit: int) -> _Span:
    start = max(0.0, span.start - offset)
    return _Span(start, min(span.length, limit - start))


def _pass(source: ImageData, target: ImageData, window: CropBox) -> None:
    resizer = getattr(_per_thread, "resizer", None)
    if resizer is None:
        resizer = _per_thread.resizer = Resizer()
    options = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom), crop_box=window)
    resizer.resize(source, target, options)


def require_rgb(pixels: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `pixels` is uint8 [h, w, 3] with at least one pixel."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"expected uint8 [h, w, 3], got {pixels.dtype} {list(pixels.shape)}")
