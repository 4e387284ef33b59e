"""Is one photo a copy of another: saved again, resized, cropped, mirrored, brighter, of another contrast?

Another photo of the same scene is no copy, however alike the two are: a copy agrees with its original everywhere, two
photos taken one after the other differ where something moved. So the pictures are laid over each other first
(`registration`) and then compared place by place; the places that agree least decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging.registration import Guess, Mapping, Picture, Pyramid, local_mean, overlaid, refine, search
from kindred_kit.imaging.resize import require_rgb, resize_stretch

_SIDE_PX = 96
_MIN_SIDE_PX = 12
_REC601 = np.array([0.299, 0.587, 0.114], np.float32)

# Measured by benchmarks/leak_guard.py on photos and their copies; see docs/performance.md.
_COARSE_GATE = 0.45  # copies reach 0.56 in the coarse search, nearly all 0.75
MIN_SCORE = 0.4  # copies reach 0.9 and more, other photos of the scene 0.2
_MIN_COMMON = 0.35  # of the larger picture; little water looks like other water
_GUESSES = 6
_REFINE_STEPS = 6
_PLACE_RADIUS_PX = 6
_WORST_PERCENT = 3.0  # of the places that show anything; a logo in a corner may be new, a person may not
_TEXTURE_LEVELS = (3.0, 10.0)  # deviation from which a place shows something: of a dull picture, of others


@dataclass(frozen=True, slots=True)
class Copy:
    """`score` 0.4..1: how well the two agree where they agree least (correlation of levels).

    `window`: where the second picture, mirrored first if `flipped`, lies in the first: x_min, y_min, x_max, y_max in
    units of the first one's sides. Inside 0..1 the second is a crop; beyond, the first is.
    """

    score: float
    flipped: bool
    window: tuple[float, float, float, float]


def signature(pixels: NDArray[np.uint8]) -> bytes:
    """RGB uint8 [h, w, 3], best a thumbnail -> at most 9.2 kB that `compare` takes: grey, 96 px on the longer side.

    Raises ValueError for another shape or dtype.
    """
    require_rgb(pixels)
    height, width = pixels.shape[:2]
    scale = _SIDE_PX / max(height, width)
    small = resize_stretch(pixels, max(_MIN_SIDE_PX, round(width * scale)), max(_MIN_SIDE_PX, round(height * scale)))
    grey: NDArray[np.uint8] = np.rint(small @ _REC601).astype(np.uint8)
    return bytes([grey.shape[1]]) + grey.tobytes()


def compare(one: bytes, other: bytes) -> Copy | None:
    """Is one a copy of the other, or both of one original? None: no, or a picture without any detail.

    Found: crops to 70 % of each side or more at any place (two crops where they share 40 % of both), resized, stretched
    as a whole, mirrored, saved again, brighter, darker, of other contrast or without colour, and all of these together.
    Not found: turned pictures, and those with a frame or another picture around them.
    Takes 5 to 10 ms of a core, half of that when the two were compared with others just before.
    Raises ValueError for what is no signature.
    """
    first, second = _pyramid(one), _pyramid(other)
    guesses = [guess for guess in search(first, second)[:_GUESSES] if guess.correlation >= _COARSE_GATE]
    for guess in guesses:
        found = _verified(first.picture, second.picture, guess)
        if found:
            return found
    return None


@lru_cache(maxsize=64)
def _pyramid(data: bytes) -> Pyramid:
    width = data[0] if data else 0
    if (
        not _MIN_SIDE_PX <= width <= _SIDE_PX
        or (len(data) - 1) % width
        or not 1 <= (len(data) - 1) // width <= _SIDE_PX
    ):
        raise ValueError(f"{len(data)} bytes are no signature")
    return Pyramid(np.frombuffer(data, np.uint8, offset=1).reshape(-1, width).astype(np.float32))


def _verified(one: Picture, other: Picture, guess: Guess) -> Copy | None:
    first = np.ascontiguousarray(one[:, ::-1]) if guess.mirrored else one
    if guess.mapping.scale_x * guess.mapping.scale_y >= 1:
        _, mapping = refine(first, other, guess.mapping, _REFINE_STEPS)
        score = _agreement(first, other, mapping)
    else:  # the second is the coarser one
        _, back = refine(other, first, guess.mapping.inverted(), _REFINE_STEPS)
        score, mapping = _agreement(other, first, back), back.inverted()
    window = _window(mapping, first.shape, other.shape, guess.mirrored)
    if score < MIN_SCORE or _common(window) < _MIN_COMMON:
        return None
    return Copy(min(1.0, score), guess.mirrored, window)


def _agreement(one: Picture, other: Picture, mapping: Mapping) -> float:
    """Correlation of levels in the places that agree least, -1..1."""
    pair = overlaid(one, other, mapping)
    share = np.maximum(local_mean(pair.seen.astype(np.float32), _PLACE_RADIUS_PX), 1e-6)

    def mean(values: Picture) -> Picture:
        smoothed: Picture = local_mean(values * pair.seen, _PLACE_RADIUS_PX) / share
        return smoothed

    # around the overall means: differences of large squares lose their digits in float32
    first, second = pair.one - pair.one.mean(), pair.other - pair.other.mean()
    first_mean, second_mean = mean(first), mean(second)
    first_variance = np.maximum(mean(first * first) - first_mean**2, 1)
    second_variance = np.maximum(mean(second * second) - second_mean**2, 1)
    correlation = (mean(first * second) - first_mean * second_mean) / np.sqrt(first_variance * second_variance)
    deviation = np.sqrt(np.maximum(first_variance, second_variance))
    shows = (share > 0.5) & (deviation > np.clip(0.5 * deviation.mean(), *_TEXTURE_LEVELS))
    return float(np.percentile(correlation[shows], _WORST_PERCENT)) if shows.any() else -1.0


def _common(window: tuple[float, float, float, float]) -> float:
    """Share of the larger one of the two that both show, 0..1."""
    left, top, right, bottom = window
    wide, high = min(1.0, right) - max(0.0, left), min(1.0, bottom) - max(0.0, top)
    return max(0.0, wide) * max(0.0, high) / max(1.0, (right - left) * (bottom - top))


def _window(
    mapping: Mapping, shape: tuple[int, ...], other: tuple[int, ...], mirrored: bool
) -> tuple[float, float, float, float]:
    back = mapping.inverted()
    left, right = back.shift_x / shape[1], (back.scale_x * other[1] + back.shift_x) / shape[1]
    top, bottom = back.shift_y / shape[0], (back.scale_y * other[0] + back.shift_y) / shape[0]
    return (1 - right, top, 1 - left, bottom) if mirrored else (left, top, right, bottom)
