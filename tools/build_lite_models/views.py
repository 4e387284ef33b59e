"""Altered copies of photos: seeded, so that every run alters them alike."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from .images import Pixels, decode, read

Kind = Literal["original", "jpeg_q20", "crop_70", "flip", "bright_150"]
NEAR_COPY_KINDS: tuple[Kind, ...] = ("jpeg_q20", "crop_70", "flip", "bright_150")
TRAINING_VIEWS: tuple[Kind, ...] = ("original", "flip", "crop_70")


@dataclass(frozen=True, slots=True)
class View:
    """One photo, altered; `seed` places the crop."""

    path: Path
    kind: Kind = "original"
    seed: int = 0

    def pixels(self) -> Pixels:
        return alter(read(self.path), self.kind, zlib.crc32(f"{self.path.name}:{self.seed}".encode()))


def alter(pixels: Pixels, kind: Kind, seed: int) -> Pixels:
    """A new image, [height, width, 3]; `seed` matters to crops only."""
    match kind:
        case "original":
            return pixels
        case "jpeg_q20":
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=20)
            return decode(buffer.getvalue())
        case "crop_70":
            return _crop(pixels, 0.7, np.random.default_rng(seed))
        case "flip":
            return np.ascontiguousarray(pixels[:, ::-1], np.uint8)
        case "bright_150":
            return np.asarray(np.clip(pixels * 1.5, 0, 255), np.uint8)


def _crop(pixels: Pixels, share: float, random: np.random.Generator) -> Pixels:
    """A window of `share` of each side at a random place."""
    height, width = round(pixels.shape[0] * share), round(pixels.shape[1] * share)
    top = int(random.integers(pixels.shape[0] - height + 1))
    left = int(random.integers(pixels.shape[1] - width + 1))
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
