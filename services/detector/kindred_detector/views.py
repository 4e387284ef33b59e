"""Test-time augmentation: several looks at one image, and the way back from each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import InvalidArgument
from kindred_kit.models import FoundBox

MIN_SCALE, MAX_SCALE, MAX_SCALES = 0.5, 2.0, 3
_CUT_MARGIN = 0.01
"""A box this close to an edge that cuts through the image (in shares of the part) is probably half an object."""


@dataclass(frozen=True)
class View:
    """A window of the image, corners in shares of its sides; beyond 0..1 there is padding. `flipped`: left is right."""

    x_min: float = 0.0
    y_min: float = 0.0
    x_max: float = 1.0
    y_max: float = 1.0
    flipped: bool = False

    def of(self, pixels: NDArray[np.uint8], pad_value: int) -> NDArray[np.uint8]:
        """What is seen of uint8 [h, w, 3], at the image's own resolution."""
        height, width = pixels.shape[:2]
        left, top = round(self.x_min * width), round(self.y_min * height)
        right, bottom = max(left + 1, round(self.x_max * width)), max(top + 1, round(self.y_max * height))
        seen = pixels[max(0, top) : bottom, max(0, left) : right]
        around = ((max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width)), (0, 0))
        if any(side for sides in around for side in sides):
            seen = np.pad(seen, around, constant_values=pad_value)
        return seen[:, ::-1] if self.flipped else seen

    def boxes_back(self, boxes: Sequence[FoundBox]) -> list[FoundBox]:
        """Boxes of the view (0..1 of it) as boxes of the image, without those that the window cuts."""
        back = []
        for box in boxes:
            x_min, x_max = (1 - box.x_max, 1 - box.x_min) if self.flipped else (box.x_min, box.x_max)
            if self._is_cut(x_min, box.y_min, x_max, box.y_max):
                continue
            width, height = self.x_max - self.x_min, self.y_max - self.y_min
            placed = replace(
                box,
                x_min=_unit(self.x_min + x_min * width),
                y_min=_unit(self.y_min + box.y_min * height),
                x_max=_unit(self.x_min + x_max * width),
                y_max=_unit(self.y_min + box.y_max * height),
            )
            if placed.x_max > placed.x_min and placed.y_max > placed.y_min:
                back.append(placed)
        return back

    def _is_cut(self, x_min: float, y_min: float, x_max: float, y_max: float) -> bool:
        return (
            (self.x_min > 0 and x_min < _CUT_MARGIN)
            or (self.y_min > 0 and y_min < _CUT_MARGIN)
            or (self.x_max < 1 and x_max > 1 - _CUT_MARGIN)
            or (self.y_max < 1 and y_max > 1 - _CUT_MARGIN)
        )


@dataclass(frozen=True)
class Augmentation:
    """Which looks are taken beside the plain one; none: a single run."""

    flip: bool = False
    scales: tuple[float, ...] = ()

    def check(self) -> None:
        """Raise InvalidArgument."""
        if len(self.scales) > MAX_SCALES or len(set(self.scales)) != len(self.scales):
            raise InvalidArgument(f"at most {MAX_SCALES} different scales", pointer="/tta/scales")
        for scale in self.scales:
            if not math.isfinite(scale) or not MIN_SCALE <= scale <= MAX_SCALE or scale == 1:
                raise InvalidArgument(
                    f"a scale lies within {MIN_SCALE:g}..{MAX_SCALE:g} and is not 1", pointer="/tta/scales"
                )

    @property
    def zoom(self) -> float:
        """How much finer than usual the image has to be decoded."""
        return max((1.0, *self.scales))

    def runs(self) -> list[tuple[View, ...]]:
        """Each run sees the whole image once, in one view or in overlapping ones."""
        runs: list[tuple[View, ...]] = [(View(),)]
        if self.flip:
            runs.append((View(flipped=True),))
        runs += [_scaled(scale) for scale in self.scales]
        return runs


def _scaled(scale: float) -> tuple[View, ...]:
    side = 1 / scale
    if scale < 1:
        margin = (side - 1) / 2
        return (View(-margin, -margin, 1 + margin, 1 + margin),)
    return tuple(View(x, y, min(1.0, x + side), min(1.0, y + side)) for y in (0.0, 1 - side) for x in (0.0, 1 - side))


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
