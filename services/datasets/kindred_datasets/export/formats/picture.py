"""A labelled picture, and its boxes in pixels: the one place where they are computed for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kindred_datasets.domain import Label


class PixelBox(NamedTuple):
    """Edges in px, two decimals: 0 is the left (upper) edge of the first pixel, `width` the right edge of the last."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height."""
        return self.x_min, self.y_min, round(self.x_max - self.x_min, 2), round(self.y_max - self.y_min, 2)


@dataclass(frozen=True, slots=True)
class Picture:
    """`path`: of its file, relative to where the format's readers look for files. Sides in px, upright."""

    path: str
    width: int
    height: int
    labels: tuple[Label, ...]

    def pixel_box(self, label: Label) -> PixelBox:
        """Inside the picture and at least one pixel wide and high.

        A narrower box grows about its centre, by less than half a pixel a side: VOC counts pixels with both ends
        included, so that it cannot say less than one.
        """
        x_min, x_max = _edges(label.box[0], label.box[2], self.width)
        y_min, y_max = _edges(label.box[1], label.box[3], self.height)
        return PixelBox(x_min, y_min, x_max, y_max)


def _edges(low: float, high: float, side: int) -> tuple[float, float]:
    start, end = (round(min(max(edge, 0.0), 1.0) * side, 2) for edge in (low, high))
    if end - start < 1:
        start = round(min(max((start + end - 1) / 2, 0.0), side - 1.0), 2)
        end = round(start + 1, 2)
    return start, end
