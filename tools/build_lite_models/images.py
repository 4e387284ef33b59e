"""Photos to model input, with the decoder and the resizer of the services: training sees what serving sees."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import simplejpeg
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]
"""RGB, uint8, [height, width, 3]."""


def decode(data: bytes) -> Pixels:
    """EXIF-oriented RGB pixels of an encoded image."""
    if simplejpeg.is_jpeg(data) and not Image.open(io.BytesIO(data)).getexif():
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"), np.uint8)
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"), np.uint8)


def read(path: Path) -> Pixels:
    return decode(path.read_bytes())


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Antialiased bicubic (Catmull-Rom), no letterbox."""
    source = ImageData(pixels.shape[1], pixels.shape[0], PixelType.U8x3, np.ascontiguousarray(pixels).tobytes())
    target = ImageData(width, height, PixelType.U8x3)
    Resizer().resize(source, target, ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom)))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, 3)


def letterbox(pixels: Pixels, side: int) -> Pixels:
    """Aspect-preserving resize into the centre of a black square: [side, side, 3]."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (side - inner_width) // 2, (side - inner_height) // 2
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = resize(pixels, inner_width, inner_height)
    return canvas


def unletterbox(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Boxes xyxy in [0, 1] of the letterboxed square -> the same in pixels of the original; [..., 4] both."""
    side = max(height, width)
    offset = np.array([(side - width) / 2, (side - height) / 2] * 2, np.float32)
    limit = np.array([width, height] * 2, np.float32)
    return np.asarray(np.clip(boxes * side - offset, 0, limit), np.float32)
