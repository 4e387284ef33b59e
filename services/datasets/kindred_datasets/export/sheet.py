"""Pictures with boxes on a page of HTML: no script, no network. Used by the preview of a data set and by `kindred`.

Every text may come from a hostile file name or query: Jinja escapes all of them, attributes included.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, select_autoescape

_MAX_BOXES = 12
_TEXT_LINES = 3
_PALETTE = ("#ff5d5d", "#3fb6ff", "#ffc53d", "#5fd068", "#c58bff", "#ff8f3f", "#2ed3c6", "#ff7ac6")


@dataclass(frozen=True)
class Found:
    """A class, its score and its box: left, top, width and height in 0..1."""

    name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """A box and the left end of its text's baseline, in pixels of the image; `text` is empty where none has room."""

    x: float
    y: float
    w: float
    h: float
    colour: str
    title: str
    text: str
    text_x: float
    text_y: float


@dataclass(frozen=True)
class Frame:
    """A picture with its boxes. `picture` is a data URI, or empty; `alt` says what is seen; sides in px."""

    width: int
    height: int
    picture: str
    alt: str
    boxes: tuple[Box, ...]
    chips: tuple[tuple[str, str], ...]

    @property
    def stroke_px(self) -> float:
        """Line width in image pixels, so that boxes of a large photo are as thick as those of a small one."""
        return max(self.width, self.height) / 120

    @property
    def font_px(self) -> float:
        return _font_px(self.width, self.height)


def make_frame(width: int, height: int, found: Sequence[Found], jpeg: bytes | None, alt: str) -> Frame:
    """The surest boxes, and a chip with text and colour for each class among them."""
    shown = sorted(found, key=lambda one: -one.score)[:_MAX_BOXES]
    best: dict[str, float] = {}
    for one in shown:
        best.setdefault(one.name, one.score)
    chips = tuple((f"{name} {score:.2f}", colour_of(name)) for name, score in best.items())
    # the most certain box chooses the place of its text first, and is drawn last, on top
    return Frame(width, height, data_uri(jpeg), alt, tuple(reversed(_boxes(shown, width, height))), chips)


def data_uri(jpeg: bytes | None) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}" if jpeg else ""


def colour_of(name: str) -> str:
    """A class keeps its colour on every sheet: not hash(), which differs from run to run."""
    return _PALETTE[sum((place + 1) * ord(char) for place, char in enumerate(name)) % len(_PALETTE)]


def environment(*loaders: BaseLoader) -> Environment:
    """Templates of `loaders`, which may import the macros of sheet.html.j2."""
    return Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("kindred_datasets.export", "templates")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _boxes(found: Sequence[Found], width: int, height: int) -> list[Box]:
    boxes: list[Box] = []
    taken: list[tuple[float, float, float]] = []  # left, right and baseline of the texts so far
    for one in found:
        x, y, w, h = (side * scale for side, scale in zip(one.box, (width, height) * 2, strict=True))
        title = f"{one.name} {one.score:.2f}"
        place = _free_place(x, y, title, width, height, taken)
        boxes.append(
            Box(
                x=round(x, 1),
                y=round(y, 1),
                w=round(w, 1),
                h=round(h, 1),
                colour=colour_of(one.name),
                title=title,
                text=title if place else "",
                text_x=round(place[0], 1) if place else 0.0,
                text_y=round(place[1], 1) if place else 0.0,
            )
        )
    return boxes


def _free_place(
    x: float, y: float, text: str, width: int, height: int, taken: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    """Above the box's corner, or a line or two further down where another text is already; None if all is taken."""
    font = _font_px(width, height)
    length = 0.62 * font * len(text)
    left = max(0.0, min(x, width - length))
    first = max(y - 0.3 * font, font)
    for baseline in (first + line * 1.1 * font for line in range(_TEXT_LINES)):
        apart = (
            right <= left or left + length <= start or abs(base - baseline) >= font for start, right, base in taken
        )
        if baseline <= height and all(apart):
            taken.append((left, left + length, baseline))
            return left, baseline
    return None


def _font_px(width: int, height: int) -> float:
    return max(width, height) / 16
