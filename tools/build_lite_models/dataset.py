"""The captioned photos: which may be trained on, which are kept for evaluation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .text import captions


@dataclass(frozen=True, slots=True)
class CaptionedPhotos:
    """File names are sorted. `training` holds permissively licensed photos outside the holdout only."""

    folder: Path
    captions: dict[str, list[str]]
    everything: list[str]
    training: list[str]
    holdout: list[str]

    @classmethod
    def load(cls, folder: Path) -> CaptionedPhotos:
        texts = captions(folder / "captions.json")
        excluded = set(_lines(folder / "not_permissive.txt"))
        holdout = set(_lines(folder / "holdout.txt"))
        names = sorted(path.name for path in (folder / "images").glob("*.jpg"))
        training = [name for name in names if name not in excluded | holdout and texts.get(name)]
        return cls(folder, texts, names, training, sorted(holdout))

    def paths(self, names: list[str]) -> list[Path]:
        return [self.folder / "images" / name for name in names]

    def captions_of(self, names: list[str]) -> tuple[list[str], NDArray[np.int64]]:
        """All captions of `names`, and for each the position of its photo."""
        texts = [text for name in names for text in self.captions[name]]
        owner = np.repeat(np.arange(len(names)), [len(self.captions[name]) for name in names])
        return texts, owner

    def training_record(self) -> dict[str, Any]:
        """What was trained on, so that it can be checked without the photos; names are hashed one a line, sorted."""
        listing = "".join(f"{name}\n" for name in self.training)
        return {
            "photos": len(self.training),
            "captions": sum(len(self.captions[name]) for name in self.training),
            "sha256_of_sorted_file_names": hashlib.sha256(listing.encode()).hexdigest(),
            "photo_licenses": "permissive only: CC BY, CC BY-SA, no known copyright restrictions",
            "excluded": ["not_permissive.txt", "holdout.txt"],
        }


def _lines(path: Path) -> list[str]:
    return path.read_text().split()
