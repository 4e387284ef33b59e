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
_PALETTE = ("#ff5d5d", "#3fb6ff", "#ffc53d", "#5fd068", "#c58bff", "#ff8f3f", "#2ed3c6", "#ff7ac6")


@dataclass(frozen=True)
class Box:
    """A box in the pixels of the viewBox (the image's own), with the text above it."""

    x: float
    y: float
    w: float
    h: float
    colour: str
    text: str


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
        return max(self.hit.width, self.hit.height) / 160

    @property
    def font_px(self) -> float:
        return max(self.hit.width, self.hit.height) / 19


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
    return Card(hit, data_uri(thumb), tuple(_box(label, hit) for label in shown), chips)


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


def _box(label: ShownLabel, hit: ShownHit) -> Box:
    x, y, w, h = label.box
    name = printable(label.name)
    return Box(
        round(x * hit.width, 1),
        round(y * hit.height, 1),
        round(w * hit.width, 1),
        round(h * hit.height, 1),
        _colour(name),
        f"{name} {label.score:.2f}",
    )


def _colour(name: str) -> str:
    # not hash(): it differs from run to run
    return _PALETTE[sum((place + 1) * ord(char) for place, char in enumerate(name)) % len(_PALETTE)]
