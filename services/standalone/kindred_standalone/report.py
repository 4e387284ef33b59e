"""A contact sheet of searches as one HTML file: pictures inside, boxes drawn over them, no script, no network.

Every text in it may come from a hostile file name or query: Jinja escapes all of them, attributes included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import PackageLoader

from kindred_datasets.export.sheet import Found, Frame, data_uri, environment, make_frame
from kindred_standalone.hits import ShownHit
from kindred_standalone.text import printable

__all__ = ["MAX_PICTURES", "Card", "Report", "Section", "data_uri", "make_card", "render", "write_report"]

MAX_PICTURES = 400
"""About 8 MB of thumbnails; a browser still opens that at once."""


@dataclass(frozen=True)
class Card:
    """One hit; its frame has no picture where there is no thumbnail or the sheet is full."""

    hit: ShownHit
    frame: Frame

    @property
    def bar_percent(self) -> float:
        """Length of the score bar: a cosine below 0 has none."""
        return round(100 * min(1.0, max(0.0, self.hit.score or 0.0)), 1)


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
    """A hit with its thumbnail (JPEG bytes) and its boxes."""
    found = [Found(printable(label.name), label.score, label.box) for label in hit.labels]
    return Card(hit, make_frame(hit.width, hit.height, found, thumb, hit.name))


def write_report(path: Path, report: Report) -> None:
    """Write the sheet; the file appears whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(render(report), "utf-8")
    draft.replace(path)


def render(report: Report) -> str:
    templates = environment(PackageLoader("kindred_standalone", "templates"))
    return templates.get_template("report.html.j2").render(report=report)
