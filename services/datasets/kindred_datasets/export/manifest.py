"""manifest.json: what the data set was made from, what is in it, and a checksum of every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kindred_datasets.domain import Item, Note
from kindred_datasets.export.formats.layouts import SPLITS

PATH = "manifest.json"
_VERSION = 1


@dataclass
class Counts:
    """Of what was written, by split."""

    images: Counter[str] = field(default_factory=Counter)
    unlabelled: Counter[str] = field(default_factory=Counter)
    boxes: Counter[str] = field(default_factory=Counter)
    class_images: Counter[tuple[str, str]] = field(default_factory=Counter)
    class_boxes: Counter[tuple[str, str]] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    changed: int = 0

    def add(self, item: Item, *, changed: bool) -> None:
        self.images[item.split] += 1
        self.boxes[item.split] += len(item.labels)
        self.unlabelled[item.split] += not item.labels
        self.licenses[item.rights.license or "unknown"] += 1
        self.changed += changed
        names = [label.class_name for label in item.labels]
        self.class_boxes.update((name, item.split) for name in names)
        self.class_images.update((name, item.split) for name in set(names))

    def by_class(self, name: str) -> dict[str, dict[str, int]]:
        return {
            split: {"images": self.class_images[name, split], "boxes": self.class_boxes[name, split]}
            for split in SPLITS
        }


def head(
    name: str,
    form: str,
    classes: Sequence[str],
    counts: Counts,
    facts: Mapping[str, Any],
    notes: Sequence[Note],
    *,
    links: bool,
) -> dict[str, Any]:
    """All of the manifest but the files. It holds no time and nothing of this machine: what is alike reads alike."""
    return {
        "kindred_dataset": _VERSION,
        "name": name,
        "format": form,
        "links": links,
        "made_from": dict(sorted(facts.items())),
        "counts": {
            split: {
                "images": counts.images[split],
                "images_without_boxes": counts.unlabelled[split],
                "boxes": counts.boxes[split],
            }
            for split in SPLITS
        },
        "classes": [{"name": name, **counts.by_class(name)} for name in classes],
        "licenses": dict(sorted(counts.licenses.items())),
        "images_changed": counts.changed,
        "notes": [asdict(note) for note in notes],
    }
