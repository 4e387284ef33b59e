"""Near copies among many images: embeddings propose pairs, the pictures themselves decide. Pure.

What looks alike to a model need not be a copy, and a pale crop of a photo need not look alike: so for every image the
few most alike are compared, down to a low cosine. Figures: benchmarks/leak_guard.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging.copies import Copy
from kindred_kit.selection import Vectors

# In the lite space a crop to half the area that was saved at quality 20 comes down to .43 in the worst of 300 photos;
# with 500 photos to choose from, its original was among the three most alike in all of them.
GUARD_LEAST_COSINE, GUARD_MOST_EACH = 0.4, 4
# 99 of 100 crops to half the area are above; here a miss costs one image too many, not a leak.
COLLAPSE_LEAST_COSINE, COLLAPSE_MOST_EACH = 0.6, 3

_TAKEN = -2.0  # below every cosine
_BLOCK_CELLS = 8_000_000  # cosines held at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of the first set, a row of the second, and their cosine."""

    one: int
    other: int
    cosine: float


def pairs_between(images: Vectors, others: Vectors, least_cosine: float, most_each: int) -> list[Pair]:
    """For each image the most alike of the others, best first: `images` [n, d], `others` [m, d], L2-normalised."""
    return [Pair(*found) for found in _most_alike(images, others, least_cosine, most_each, same=False)]


def pairs_within(images: Vectors, least_cosine: float, most_each: int) -> list[Pair]:
    """The same among one set: each pair once, the lower row first, by rows."""
    found: dict[tuple[int, int], float] = {}
    for one, other, cosine in _most_alike(images, images, least_cosine, most_each, same=True):
        found[min(one, other), max(one, other)] = cosine
    return [Pair(*rows, found[rows]) for rows in sorted(found)]


def described(copy: Copy) -> str:
    """How the second picture of a comparison came from the first, for people: "cropped to 49 % of it, mirrored"."""
    left, top, right, bottom = copy.window
    part = (min(1.0, right) - max(0.0, left)) * (min(1.0, bottom) - max(0.0, top))
    whole = (right - left) * (bottom - top)
    shown = "all of it" if part >= 0.95 else f"cropped to {100 * part:.0f} % of it"
    if whole > 1.05 * part:
        shown = f"{shown} and more around"
    return f"{shown}{', mirrored' if copy.flipped else ''}, agreement {copy.score:.2f}"


def _most_alike(
    images: Vectors, others: Vectors, least_cosine: float, most_each: int, *, same: bool
) -> Iterator[tuple[int, int, float]]:
    if not len(images) or not len(others):
        return
    across = others.astype(np.float32, copy=False).T
    rows_each = max(1, _BLOCK_CELLS // len(others))
    for start in range(0, len(images), rows_each):
        cosines: NDArray[np.float32] = images[start : start + rows_each].astype(np.float32) @ across
        if same:
            np.fill_diagonal(cosines[:, start:], _TAKEN)
        places = np.arange(len(cosines))
        ranks = []
        for _ in range(min(most_each, len(others))):
            best = cosines.argmax(axis=1)  # the lower row among equals
            ranks.append((best.tolist(), cosines[places, best].tolist()))
            cosines[places, best] = _TAKEN
        for place in places.tolist():
            for columns, values in ranks:
                if values[place] >= max(-1.0, least_cosine):
                    yield start + place, columns[place], values[place]
