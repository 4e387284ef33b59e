"""A contact sheet of searches as one HTML file: pictures inside, boxes drawn over them, no script, no network.

Every text in it may come from a hostile file name or query: Jinja escapes all of them, attributes included.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from kindred_standalone.hits import ShownHit, ShownLabel
from kindred_standalone.text import printable

MAX_PICTURES = 400
"""About 8 MB of thumbnails; a browser still opens that at once."""
_MAX_BOXES = 12
_TEXT_LINES = 3
_PALETTE = ("#ff5d5d", "#3fb6ff", "#ffc53d", "#5fd068", "#c58bff", "#ff8f3f", "#2ed3c6", "#ff7ac6")


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
class Card:
    """One hit. `picture` is a data URI, empty where there is no thumbnail or the sheet is full."""

    hit: ShownHit
    picture: str
    boxes: tuple[Box, ...]
    chips: tuple[tuple[str, str], ...]

    @property
    def bar_percent(self) -> float:
        """Length of the score bar: a cosine below 0 has none."""
        return round(100 * min(1.0, max(0.0, self.hit.score)), 1)

    @property
    def stroke_px(self) -> float:
        """Line width in image pixels, so that boxes of a large photo are as thick as those of a small one."""
        return max(self.hit.width, self.hit.height) / 120

    @property
    def font_px(self) -> float:
        return _font_px(self.hit)


@dataclass
class Section:
    """One search: what was asked, in words, and the cards. `picture` shows the query image, if it was one."""

    title: str
    kind: str
    cards: list[Card] = field(default_factory=list)
    picture: str = ""
    filters: str = ""


@dataclass(frozen=True)
class Report:
    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    foot: str = ""


def make_card(hit: ShownHit, thumb: bytes | None) -> Card:
    """A hit with its thumbnail (JPEG bytes) and its boxes; a class keeps its colour on the whole sheet."""
    shown = sorted(hit.labels, key=lambda label: -label.score)[:_MAX_BOXES]
    best: dict[str, float] = {}
    for label in shown:
        best.setdefault(printable(label.name), label.score)
    chips = tuple((f"{name} {score:.2f}", _colour(name)) for name, score in best.items())
    # the most certain box chooses the place of its text first, and is drawn last, on top
    return Card(hit, data_uri(thumb), tuple(reversed(_boxes(shown, hit))), chips)


def data_uri(jpeg: bytes | None) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}" if jpeg else ""


def write_report(path: Path, report: Report) -> None:
    """Write the sheet; the file appears whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(render(report), "utf-8")
    draft.replace(path)


def render(report: Report) -> str:
    environment = Environment(
        loader=PackageLoader("kindred_standalone", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(report=report)


def _boxes(labels: Sequence[ShownLabel], hit: ShownHit) -> list[Box]:
    boxes: list[Box] = []
    taken: list[tuple[float, float, float]] = []  # left, right and baseline of the texts so far
    for label in labels:
        x, y, w, h = (side * scale for side, scale in zip(label.box, (hit.width, hit.height) * 2, strict=True))
        title = f"{printable(label.name)} {label.score:.2f}"
        place = _free_place(x, y, title, hit, taken)
        boxes.append(
            Box(
                x=round(x, 1),
                y=round(y, 1),
                w=round(w, 1),
                h=round(h, 1),
                colour=_colour(printable(label.name)),
                title=title,
                text=title if place else "",
                text_x=round(place[0], 1) if place else 0.0,
                text_y=round(place[1], 1) if place else 0.0,
            )
        )
    return boxes


def _free_place(
    x: float, y: float, text: str, hit: ShownHit, taken: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    """Above the box's corner, or a line or two further down where another text is already; None if all is taken."""
    font = _font_px(hit)
    width = 0.62 * font * len(text)
    left = max(0.0, min(x, hit.width - width))
    first = max(y - 0.3 * font, font)
    for baseline in (first + line * 1.1 * font for line in range(_TEXT_LINES)):
        apart = (right <= left or left + width <= start or abs(base - baseline) >= font for start, right, base in taken)
        if baseline <= hit.height and all(apart):
            taken.append((left, left + width, baseline))
            return left, baseline
    return None


def _font_px(hit: ShownHit) -> float:
    return max(hit.width, hit.height) / 16


def _colour(name: str) -> str:
    # not hash(): it differs from run to run
    return _PALETTE[sum((place + 1) * ord(char) for place, char in enumerate(name)) % len(_PALETTE)]
