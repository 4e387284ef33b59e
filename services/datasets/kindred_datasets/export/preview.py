"""preview.html: a sample of the data set with its boxes, to be looked at before anybody trains on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kindred_datasets.domain import Item, Split
from kindred_datasets.export.formats.layouts import SPLITS
from kindred_datasets.export.manifest import Counts
from kindred_datasets.export.sheet import Found, Frame, colour_of, environment, make_frame
from kindred_kit.imaging import ImageLimits, decode, thumbnail
from kindred_kit.imaging.rights import clean_text

PATH = "preview.html"
_MAX_PICTURES = 200
"""About 2 MB of thumbnails."""
_MAX_CLASSES = 60
_MAX_FACTS_CHARS = 10_000
_SIDE_PX = 256
_QUALITY = 72


@dataclass(frozen=True)
class Card:
    name: str
    rights: str
    frame: Frame


@dataclass(frozen=True)
class ClassLine:
    """A class of the legend; `share`: its boxes in per cent of those of the most frequent one, by split."""

    name: str
    colour: str
    boxes: int
    images: int
    share: Mapping[Split, float]


@dataclass
class Preview:
    """`total`: items that there are; every n-th of them is shown, so that both ends and both splits are seen."""

    total: int
    cards: dict[Split, list[Card]] = field(default_factory=lambda: {split: [] for split in SPLITS})

    def wants(self, number: int) -> bool:
        """Whether the item of this number, counted from 0, is shown."""
        return number % max(1, -(-self.total // _MAX_PICTURES)) == 0

    def add(self, item: Item, name: str, thumb: bytes | None) -> None:
        found = [
            Found(_shown(label.class_name), label.score, (x_min, y_min, x_max - x_min, y_max - y_min))
            for label in item.labels
            for x_min, y_min, x_max, y_max in [label.box]
        ]
        classes = ", ".join(dict.fromkeys(one.name for one in found)) or "no box"
        rights = " · ".join(filter(None, (_license_words(item.rights.license), _shown(item.rights.creator))))
        card = Card(name, rights, make_frame(item.width, item.height, found, thumb, f"{name}: {classes}"))
        self.cards[item.split].append(card)

    def render(self, title: str, form: str, classes: Sequence[str], counts: Counts, facts: Mapping[str, Any]) -> str:
        lines = _class_lines(classes, counts)
        numbers = [
            ("images for training", f"{counts.images['train']:,}"),
            ("images for validation", f"{counts.images['val']:,}"),
            ("boxes", f"{counts.boxes.total():,}"),
            ("classes", f"{len(classes):,}"),
            ("images without a box", f"{counts.unlabelled.total():,}"),
        ]
        return (
            environment()
            .get_template("preview.html.j2")
            .render(
                title=_shown(title) or "Data set",
                form={"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC"}[form],
                facts=numbers,
                classes=lines[:_MAX_CLASSES],
                more_classes=len(lines[_MAX_CLASSES:]),
                licenses=[(_license_words(name), count) for name, count in counts.licenses.most_common()],
                sections=[(name, self.cards[split], counts.images[split]) for name, split in _SECTIONS],
                made_from=_made_from(facts),
            )
        )


_SECTIONS: tuple[tuple[str, Split], ...] = (("Training", "train"), ("Validation", "val"))


def small(picture: bytes) -> bytes:
    """A JPEG for the page. Raises ImageError."""
    return thumbnail(decode(picture, ImageLimits(), min_side_px=_SIDE_PX), _SIDE_PX, _QUALITY)


def _class_lines(classes: Sequence[str], counts: Counts) -> list[ClassLine]:
    by_class = {name: counts.by_class(name) for name in classes}
    totals = {name: sum(split["boxes"] for split in splits.values()) for name, splits in by_class.items()}
    most = max(totals.values(), default=0) or 1
    return [
        ClassLine(
            name=_shown(name),
            colour=colour_of(_shown(name)),
            boxes=totals[name],
            images=sum(split["images"] for split in splits.values()),
            share={split: round(100 * splits[split]["boxes"] / most, 1) for split in SPLITS},
        )
        for name, splits in sorted(by_class.items(), key=lambda pair: (-totals[pair[0]], pair[0]))
    ]


def _made_from(facts: Mapping[str, Any]) -> str:
    text = json.dumps(dict(facts), indent=2, sort_keys=True, ensure_ascii=False)
    whole = len(text) <= _MAX_FACTS_CHARS  # a list of ids may be as long as the data set
    return text if whole else f"{text[:_MAX_FACTS_CHARS]}\n… and more: manifest.json has all of it"


def _license_words(name: str) -> str:
    if name in {"", "unknown"}:
        return "licence unknown"
    return f"CC {name.upper()}" if name == "by" or name.startswith("by-") else _shown(name).upper()


def _shown(text: str) -> str:
    return clean_text(text) or ""
