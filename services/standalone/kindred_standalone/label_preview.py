"""A contact sheet of a labelled folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kindred_kit.errors import KindredError
from kindred_kit.imaging import ImageLimits, decode, thumbnail
from kindred_standalone.hits import ShownHit, ShownLabel
from kindred_standalone.label_formats import FoundLabel, LabelledImage
from kindred_standalone.labelling import Labelling, in_order
from kindred_standalone.report import Card, Report, Section, make_card, write_report
from kindred_standalone.text import count_text, printable, printable_path

_PREVIEWED = 60
_SIDE_PX = 320


def write_preview(path: Path, folder: Path, progress: Labelling, classes: Sequence[str]) -> None:
    """Photos spread over the whole folder, with their boxes. Raises OSError."""
    images = in_order(progress)
    shown = images[:: max(1, -(-len(images) // _PREVIEWED))]
    cards = [_card(folder, image, rank, classes) for rank, image in enumerate(shown, 1)]
    facts = [
        ("photos labelled", f"{len(images):,}"),
        ("boxes", f"{progress.boxes:,}"),
        ("photos without a box", f"{sum(not image.labels for image in images):,}"),
        ("photos that failed", f"{len(progress.problems):,}"),
    ]
    kind = f"{count_text(len(shown), 'photo')} of {len(images):,}; the bar shows the surest box"
    section = Section(printable_path(folder), kind, cards)
    write_report(path, Report("Kindred", "Labels by the detector, not checked by a person", facts, [section]))


def _card(folder: Path, image: LabelledImage, rank: int, classes: Sequence[str]) -> Card:
    path = folder / image.path
    best = max((label.score for label in image.labels), default=0.0)
    labels = tuple(_shown(label, classes) for label in image.labels)
    hit = ShownHit(rank, best, "", printable(image.path), path, False, image.width, image.height, labels)
    try:
        pixels = decode(path.read_bytes(), ImageLimits(), min_side_px=_SIDE_PX)
        return make_card(hit, thumbnail(pixels, _SIDE_PX))
    except (OSError, KindredError):  # gone since it was labelled: the card goes without its picture
        return make_card(hit, None)


def _shown(label: FoundLabel, classes: Sequence[str]) -> ShownLabel:
    x_min, y_min, x_max, y_max = label.box
    return ShownLabel(classes[label.class_id], label.score, (x_min, y_min, x_max - x_min, y_max - y_min))
