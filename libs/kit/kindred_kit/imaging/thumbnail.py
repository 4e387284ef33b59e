"""Small JPEGs for result pages."""

from __future__ import annotations

import numpy as np
import simplejpeg  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

from kindred_kit.imaging.resize import require_rgb, resize_stretch


def thumbnail(pixels: NDArray[np.uint8], max_side_px: int = 320, quality: int = 80) -> bytes:
    """uint8 [h, w, 3] RGB -> a JPEG (4:2:0, quality 1..100) whose longer side is at most `max_side_px`.

    Never enlarges, keeps the aspect (at least 1 px a side), carries no metadata. Thread-safe; the encoder releases the
    GIL. Raises ValueError for another shape or dtype, a side below 1 or a quality outside 1..100.
    """
    if max_side_px < 1 or not 1 <= quality <= 100:
        raise ValueError(f"max_side_px must be at least 1 and quality 1..100, not {max_side_px} and {quality}")
    require_rgb(pixels)
    height, width = pixels.shape[:2]
    scale = max_side_px / max(height, width)
    if scale < 1:
        pixels = resize_stretch(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    # The encoder reads the buffer as if it were contiguous, whatever its strides.
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420")
    return encoded
