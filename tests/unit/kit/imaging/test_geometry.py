from __future__ import annotations

import math

import numpy as np
import pytest

from kindred_kit.errors import InvalidRegion
from kindred_kit.imaging import RegionN, crop

PIXELS = np.arange(100 * 200 * 3, dtype=np.uint8).reshape(100, 200, 3)


def test_crop_is_a_view_of_the_touched_pixels() -> None:
    part = crop(PIXELS, RegionN(0.25, 0.1, 0.5, 0.3))
    assert np.shares_memory(part, PIXELS)
    assert (part == PIXELS[10:40, 50:150]).all()
    assert crop(PIXELS, RegionN(0.251, 0.1, 0.5, 0.3)).shape == (30, 101, 3)


def test_whole_tiny_and_slightly_outside() -> None:
    assert crop(PIXELS, RegionN(0, 0, 1, 1)).shape == PIXELS.shape
    assert crop(PIXELS, RegionN(0.9999, 0.9999, 1e-9, 1e-9)).shape == (1, 1, 3)
    assert crop(PIXELS, RegionN(0.1, 0.2, 0.9 + 1e-7, 0.8005)).shape == (80, 180, 3)
    assert crop(PIXELS, RegionN(-0.0005, 0, 0.5, 1)).shape == (100, 100, 3)
    assert crop(PIXELS[:1, :1], RegionN(0.3, 0.3, 0.1, 0.1)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "region",
    [
        RegionN(-0.1, 0, 0.5, 0.5),
        RegionN(0, 1.0, 0.5, 0.5),
        RegionN(0.6, 0, 0.5, 0.5),
        RegionN(0, 0, 0, 0.5),
        RegionN(0, 0, 0.5, -0.1),
        RegionN(math.nan, 0, 0.5, 0.5),
        RegionN(0, 0, math.inf, 0.5),
    ],
)
def test_bad_regions(region: RegionN) -> None:
    with pytest.raises(InvalidRegion, match="region's"):
        crop(PIXELS, region)
