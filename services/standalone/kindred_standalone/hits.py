"""One answer of the search, as tables and reports show it: HTTP's hit, and where its file lies on this disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import referenced_path
from kindred_standalone.connect import LOCAL, Node
from kindred_standalone.text import printable, printable_path


@dataclass(frozen=True)
class ShownLabel:
    """A detected object. The box is [x, y, w, h] as fractions of the image's sides."""

    name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class ShownHit:
    """A hit for people; all text is printable.

    `path` is None for an image whose bytes lie in the store, `score` where nothing was asked; `copies` stand behind it.
    """

    rank: int
    score: float | None
    image_id: str
    name: str
    path: Path | None
    missing: bool
    width: int
    height: int
    labels: tuple[ShownLabel, ...]
    copies: int = 0

    @property
    def place(self) -> str:
        """The file where it lies, as far as there is one."""
        shown = self.name if self.path is None else printable_path(self.path)
        return f"{shown} (missing)" if self.missing else shown


async def shown_hits(node: Node, results: Sequence[Mapping[str, Any]]) -> list[ShownHit]:
    """The results of an answer of `/v1/search`, each with its record of the catalogue."""
    ids = [result["id"] for result in results]
    answer = await node.search.GetImages(pb.GetImagesRequest(principal=LOCAL, image_ids=ids))
    records = {record.image_id: record for record in answer.images}
    return [
        shown_hit(records[result["id"]], rank, result["score"], len(result["duplicates"]))
        for rank, result in enumerate(results, 1)
        if result["id"] in records  # one may have been removed since
    ]


def shown_hit(record: pb.ImageRecord, rank: int, score: float | None, copies: int = 0) -> ShownHit:
    path = referenced_path(record.blob_key)
    return ShownHit(
        rank=rank,
        score=score,
        image_id=record.image_id,
        name=printable(record.file_name or record.image_id[:12]),
        path=path,
        missing=path is not None and not path.is_file(),
        width=record.width,
        height=record.height,
        labels=tuple(_label(entry) for entry in record.labels),
        copies=copies,
    )


def label_words(labels: Sequence[ShownLabel], limit: int = 4) -> str:
    """`2 dog .91, person .55`: most certain classes first, with the best score and how many."""
    counts = Counter(label.name for label in labels)
    best: dict[str, float] = {}
    for label in labels:
        best[label.name] = max(label.score, best.get(label.name, 0.0))
    ranked = sorted(best, key=lambda name: -best[name])
    words = [
        f"{counts[name]} {printable(name)} {best[name]:.2f}"
        if counts[name] > 1
        else f"{printable(name)} {best[name]:.2f}"
        for name in ranked[:limit]
    ]
    return ", ".join(words) + (" …" if len(ranked) > limit else "")


def _label(entry: pb.LabelledDetection) -> ShownLabel:
    box = entry.detection.box
    return ShownLabel(
        entry.detection.class_name,
        entry.detection.score,
        (box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min),
    )
