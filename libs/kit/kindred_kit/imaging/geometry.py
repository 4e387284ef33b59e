"""Regions, crops and the way back from a letterboxed image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import InvalidRegion

# Clients compute regions from rounded pixels; half a pixel of a 500 px image is no reason to refuse.
_TOLERANCE = 1e-3
_ROUNDING = 1e-6


@dataclass(frozen=True)
class RegionN:
    """A rectangle, top-left corner and size, normalised to [0, 1] of the EXIF-oriented image."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Letterbox:
    """How an image was letterboxed: target = source * scale + pad. Pads and source sides in pixels."""

    scale: float
    pad_x: int
    pad_y: int
    source_width: int
    source_height: int

    def invert(self, boxes_xyxy_px: NDArray[np.floating]) -> NDArray[np.float32]:
        """Boxes [n, 4], xyxy in px of the letterboxed image -> float32 [n, 4], xyxy in px of the source, clipped to it.

        Source: YOLOv7, utils/general.py `scale_coords`.
        """
        boxes = np.asarray(boxes_xyxy_px, np.float64).reshape(-1, 4)
        pads = np.array([self.pad_x, self.pad_y] * 2)
        sides = np.array([self.source_width, self.source_height] * 2)
        inverted: NDArray[np.float32] = np.clip((boxes - pads) / self.scale, 0, sides).astype(np.float32)
        return inverted


def crop(pixels: NDArray[np.uint8], region: RegionN) -> NDArray[np.uint8]:
    """The pixels that `region` touches: a view uint8 [h', w', 3] of uint8 [h, w, 3], at least 1 x 1.

    Raises InvalidRegion for a corner outside [0, 1], a size that is not positive, a region that leaves the image by
    more than 0.001 of its side (less is clipped), or a value that is not finite.
    """
    height, width = pixels.shape[:2]
    left, right = _edges(region.x, region.w, width, "x", "w")
    top, bottom = _edges(region.y, region.h, height, "y", "h")
    return pixels[top:bottom, left:right]


def _edges(start: float, length: float, side: int, start_name: str, length_name: str) -> tuple[int, int]:
    if not (math.isfinite(start) and math.isfinite(length)):
        raise InvalidRegion(f"the region's {start_name} and {length_name} must be finite numbers")
    if not -_TOLERANCE <= start < 1:
        raise InvalidRegion(f"the region's {start_name} is {start:g}, outside [0, 1)")
    if length <= 0:
        raise InvalidRegion(f"the region's {length_name} is {length:g}, not positive")
    if start + length > 1 + _TOLERANCE:
        raise InvalidRegion(f"the region's {start_name} + {length_name} is {start + length:g}, beyond 1")
    first = min(side - 1, max(0, math.floor(start * side + _ROUNDING)))
    last = min(side, max(first + 1, math.ceil((start + length) * side - _ROUNDING)))
    return first, last
