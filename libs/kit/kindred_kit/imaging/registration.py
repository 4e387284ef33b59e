"""How one grey picture lies over another: shift, scale and mirror, found by FFT and refined to a part of a pixel.

Both steps look at detail alone (each pixel less its neighbourhood's mean, in units of its deviation), which changes of
brightness and contrast leave as it is. Pictures are float32 [h, w], levels 0..255; a point is in pixels, (0, 0) the
outer corner of the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]

# Levels added to a neighbourhood's deviation: the noise of a JPEG of low quality must not count as detail.
_NOISE = 4.0
_COARSE_PX = 32  # longer side in the search: a scale step of 6 % moves its edge by half a pixel
_COARSE_RADIUS_PX = 3
_FINE_RADIUS_PX = 4
_GRID_PX = 64  # of the FFT; wide enough for shifts that leave half of the larger picture outside
_LARGEST_SCALE = 1.46  # a crop to 70 % of a side, and a little
_SCALES = np.exp(np.linspace(-np.log(_LARGEST_SCALE), np.log(_LARGEST_SCALE), 13))
_MIN_OVERLAP = 0.4  # of the larger frame; a crop to 70 % of each side is 0.49
_CLIPPED = (5, 250)  # levels beyond which a brightened copy has lost what was there
_TRIED_STEPS, _HOPELESS = 2, 0.3  # a right guess is well above this correlation after two steps
_MIN_OPEN = 0.05  # of the pixels; below, clipped ones count too


@dataclass(frozen=True, slots=True)
class Mapping:
    """A point of one picture -> the same point of the other: x' = scale_x * x + shift_x, y alike, in pixels."""

    scale_x: float
    shift_x: float
    scale_y: float
    shift_y: float

    def inverted(self) -> Mapping:
        return Mapping(1 / self.scale_x, -self.shift_x / self.scale_x, 1 / self.scale_y, -self.shift_y / self.scale_y)

    def overlap(self, shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns of the first picture whose centres lie inside the other."""
        return (
            _inside(self.scale_y, self.shift_y, shape[0], other[0]),
            _inside(self.scale_x, self.shift_x, shape[1], other[1]),
        )


@dataclass(frozen=True, slots=True)
class Guess:
    """A coarse find. `correlation` -1..1; `mapping` leads from the first picture, mirrored if `mirrored`."""

    correlation: float
    mirrored: bool
    mapping: Mapping


@dataclass(frozen=True, slots=True)
class Overlaid:
    """The part that both pictures show, in the first one's pixels; `seen` is False where either is clipped."""

    one: Picture
    other: Picture
    seen: NDArray[np.bool_]


class Pyramid:
    """A picture's detail at the scales of the search and its spectra. About 0.3 MB."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        longer = max(picture.shape)
        self.levels = [_detail(_shrunk(picture, _COARSE_PX * scale / longer), _COARSE_RADIUS_PX) for scale in _SCALES]
        self.spectra = _spectra(self.levels)
        self.energies = [_integral(level) for level in self.levels]


def search(one: Pyramid, other: Pyramid) -> list[Guess]:
    """Guesses for every scale, mirrored and not, best first. Normalised cross-correlation over the overlap.

    Finds scales of 1/1.46 to 1.46 relative to the pictures' longer sides, the same on both axes, and shifts that leave
    at least 40 % of each picture covered. Where the sides' ratios differ, also the one whole stretched over the other.
    """
    base = _detail(_shrunk(one.picture, _COARSE_PX / max(one.picture.shape)), _COARSE_RADIUS_PX)
    levels, spectra, energies = other.levels, other.spectra, other.energies
    if _ratios_differ(one.picture, other.picture):
        stretched = _detail(_resampled(other.picture, base.shape), _COARSE_RADIUS_PX)
        levels = [*levels, stretched]
        spectra = np.concatenate([spectra, _spectra([stretched])])
        energies = [*energies, _integral(stretched)]
    guesses = []
    for mirrored in (False, True):
        first = np.ascontiguousarray(base[:, ::-1]) if mirrored else base
        products = np.fft.irfft2(_spectra([first]) * np.conj(spectra), (_GRID_PX, _GRID_PX))
        energy = _integral(first)
        for level, product, level_energy in zip(levels, products, energies, strict=True):
            correlation, shift_x, shift_y = _best_shift(first.shape, energy, level.shape, level_energy, product)
            mapping = _mapping(one.picture.shape, first.shape, other.picture.shape, level.shape, shift_x, shift_y)
            guesses.append(Guess(correlation, mirrored, mapping))
    return sorted(guesses, key=lambda guess: -guess.correlation)


def refine(one: Picture, other: Picture, mapping: Mapping, steps: int) -> tuple[float, Mapping]:
    """Gauss-Newton on shift and scale of both axes: the best correlation of detail on the way, and its mapping.

    `one` should be the coarser picture of what both show, so that `other` is only ever shrunk.
    Source: Lucas and Kanade 1981, with the four parameters of an axis-parallel mapping.
    """
    best = (-1.0, mapping)
    for step in range(steps + 1):
        rows, columns = mapping.overlap(one.shape, other.shape)
        if rows.stop - rows.start < 2 * _FINE_RADIUS_PX or columns.stop - columns.start < 2 * _FINE_RADIUS_PX:
            break
        pair = overlaid(one, other, mapping)
        wanted = _detail(pair.one, _FINE_RADIUS_PX) * pair.seen
        moved = _detail(pair.other, _FINE_RADIUS_PX) * pair.seen
        energy = float((wanted * wanted).sum() * (moved * moved).sum())
        correlation = float((wanted * moved).sum()) / max(1e-6, energy) ** 0.5
        best = max(best, (correlation, mapping), key=lambda found: found[0])
        if step == _TRIED_STEPS and best[0] < _HOPELESS:
            break
        if step < steps:
            mapping = _improved(mapping, wanted, moved, pair.seen, rows, columns, one.shape)
    return best


def overlaid(one: Picture, other: Picture, mapping: Mapping) -> Overlaid:
    """Cut `one` to what both show and resample `other` to it. The mapping must leave an overlap."""
    rows, columns = mapping.overlap(one.shape, other.shape)
    down = _taps(rows, mapping.scale_y, mapping.shift_y, other.shape[0])
    across = _taps(columns, mapping.scale_x, mapping.shift_x, other.shape[1])
    part, moved = one[rows, columns], down @ other @ across.T
    low, high = _CLIPPED
    seen = (part > low) & (part < high) & (moved > low) & (moved < high)
    return Overlaid(part, moved, seen if seen.mean() >= _MIN_OPEN else np.ones_like(seen))


def local_mean(picture: Picture, radius_px: int) -> Picture:
    """Mean over the square of 2 * radius + 1 px around each pixel, as far as it lies inside."""
    for axis in (0, 1):
        sums = np.cumsum(picture, axis=axis, dtype=np.float32)
        low, high, counts = _windows(picture.shape[axis], radius_px)
        first = sums.take(high, axis)
        before = sums.take(low, axis) * (low >= 0).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        picture = (first - before) / counts.reshape((-1, 1) if axis == 0 else (1, -1))
    return picture


@lru_cache(maxsize=1024)
def _windows(n: int, radius_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Picture]:
    """Of each window: the place before its first (-1: none), its last, and its length."""
    places = np.arange(n)
    before, last = np.maximum(places - radius_px, 0) - 1, np.minimum(places + radius_px, n - 1)
    return before, last, (last - before).astype(np.float32)


def _detail(picture: Picture, radius_px: int) -> Picture:
    high = picture - local_mean(picture, radius_px)
    detail: Picture = high / (np.sqrt(local_mean(high * high, radius_px)) + _NOISE)
    return detail


def _inside(scale: float, shift: float, n: int, other: int) -> slice:
    first = max(0, int(np.ceil(-shift / scale - 0.5 + 1e-6)))
    last = min(n, int(np.floor((other - shift) / scale - 0.5 - 1e-6)) + 1)
    return slice(first, max(first, last))


def _taps(places: slice, scale: float, shift: float, n: int) -> Picture:
    """Weights [places, n] of a triangle filter that widens where it shrinks."""
    centres = scale * (np.arange(places.start, places.stop, dtype=np.float32) + 0.5) + shift - 0.5
    distances = np.abs(np.arange(n, dtype=np.float32) - centres[:, None])
    weights = np.maximum(0, 1 - distances / max(1.0, scale)).astype(np.float32)
    normalised: Picture = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
    return normalised


@lru_cache(maxsize=1024)
def _whole_taps(n: int, resized: int) -> Picture:
    return _taps(slice(0, resized), n / resized, 0, n)


def _resampled(picture: Picture, shape: tuple[int, ...]) -> Picture:
    return _whole_taps(picture.shape[0], shape[0]) @ picture @ _whole_taps(picture.shape[1], shape[1]).T


def _shrunk(picture: Picture, factor: float) -> Picture:
    return _resampled(picture, tuple(max(4, round(side * factor)) for side in picture.shape))


def _ratios_differ(one: Picture, other: Picture) -> bool:
    ratio = one.shape[0] * other.shape[1] / (one.shape[1] * other.shape[0])
    return not 0.95 < ratio < 1.05


def _spectra(levels: list[Picture]) -> NDArray[np.complexfloating]:
    padded = np.zeros((len(levels), _GRID_PX, _GRID_PX), np.float32)
    for place, level in zip(padded, levels, strict=True):
        place[: level.shape[0], : level.shape[1]] = level
    return np.fft.rfft2(padded)


def _integral(level: Picture) -> Picture:
    """Sums of squares over [0, y) x [0, x)."""
    sums = np.zeros((level.shape[0] + 1, level.shape[1] + 1), np.float32)
    np.cumsum(np.cumsum(level * level, axis=0), axis=1, out=sums[1:, 1:])
    return sums


def _best_shift(
    shape: tuple[int, ...], energy: Picture, other: tuple[int, ...], other_energy: Picture, product: Picture
) -> tuple[float, int, int]:
    """Normalised correlation at the best place of the other picture's corner, and that place (x, y)."""
    rows, columns = _shifts(shape[0], other[0]), _shifts(shape[1], other[1])
    area = np.outer(rows.length, columns.length) / max(shape[0] * shape[1], other[0] * other[1])
    energies = _sums(energy, rows.low, rows.high, columns.low, columns.high) * _sums(
        other_energy, rows.low - rows.shift, rows.high - rows.shift,
        columns.low - columns.shift, columns.high - columns.shift,
    )  # fmt: skip
    correlation = product[rows.shift % _GRID_PX][:, columns.shift % _GRID_PX] / np.sqrt(np.maximum(energies, 1e-3))
    # Chance finds high correlations in small overlaps.
    weighted = np.where(area >= _MIN_OVERLAP, correlation * area**0.25, -1)
    row, column = divmod(int(weighted.argmax()), weighted.shape[1])
    return float(correlation[row, column]), int(columns.shift[column]), int(rows.shift[row])


@dataclass(frozen=True, slots=True)
class _Shifts:
    """Shifts of a stretch along another, and which part of the other it then covers."""

    shift: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @property
    def length(self) -> NDArray[np.int64]:
        return self.high - self.low


@lru_cache(maxsize=4096)
def _shifts(n: int, other: int) -> _Shifts:
    shift = np.arange(-(other // 2), n - other // 2 + 1)
    return _Shifts(shift, np.maximum(shift, 0), np.minimum(shift + other, n))


def _sums(
    integral: Picture, top: NDArray[np.int64], bottom: NDArray[np.int64], left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> Picture:  # fmt: skip
    bands = integral[bottom] - integral[top]
    sums: Picture = bands[:, right] - bands[:, left]
    return sums


def _mapping(
    shape: tuple[int, ...], level: tuple[int, ...], other: tuple[int, ...], other_level: tuple[int, ...],
    shift_x: int, shift_y: int,
) -> Mapping:  # fmt: skip
    """From places on two levels of the search to pixels of the pictures."""
    up_y, up_x = other[0] / other_level[0], other[1] / other_level[1]
    return Mapping(up_x * level[1] / shape[1], -shift_x * up_x, up_y * level[0] / shape[0], -shift_y * up_y)


def _improved(
    mapping: Mapping, wanted: Picture, moved: Picture, seen: NDArray[np.bool_], rows: slice, columns: slice,
    shape: tuple[int, ...],
) -> Mapping:  # fmt: skip
    """One step towards where `moved` equals `wanted`; the same mapping where there is no such step."""
    down, across = np.gradient(moved)
    down, across = down * seen / mapping.scale_y, across * seen / mapping.scale_x
    x = ((np.arange(columns.start, columns.stop) + 0.5) / shape[1] - 0.5).astype(np.float32)
    y = ((np.arange(rows.start, rows.stop) + 0.5) / shape[0] - 0.5).astype(np.float32)
    slopes = np.stack([across * x, across, down * y[:, None], down]).reshape(4, -1)
    normal = (slopes @ slopes.T).astype(np.float64)
    normal[np.diag_indices(4)] = 1.01 * normal.diagonal() + 1e-3
    wider, right, taller, lower = np.linalg.solve(normal, slopes @ (wanted - moved).reshape(-1)).tolist()
    scale_x, scale_y = mapping.scale_x + wider / shape[1], mapping.scale_y + taller / shape[0]
    if not (0.3 < scale_x < 3 and 0.3 < scale_y < 3):
        return mapping
    return Mapping(scale_x, mapping.shift_x + right - wider / 2, scale_y, mapping.shift_y + lower - taller / 2)
