"""What the reference and our tests share: the inputs of tests/golden/clip, and how tokens are compared."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from support.clip_texts import CHUNK

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "clip"
PHOTOS = GOLDEN / "photos"
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
SAMPLE = (0, 1, 2, 3, 4, 5, 6, 7, 49, 123, 999, 4242)
"""Numbers of texts whose tokens the golden shows, and that are embedded; 49 and 999 have 300 words."""
_END = 49_407


def seeded_pixels() -> NDArray[np.uint8]:
    """uint8 [4, 224, 224, 3]: noise of four grains, coarse to fine."""
    random = np.random.default_rng(5)
    sides = (4, 14, 56, 224)
    grains = [random.integers(0, 256, (side, side, 3)).astype(np.uint8) for side in sides]
    return np.stack([grain.repeat(224 // len(grain), axis=0).repeat(224 // len(grain), axis=1) for grain in grains])


def trimmed(row: Sequence[int]) -> list[int]:
    """Without the end token and what pads."""
    kept = [int(token) for token in row]
    while kept and kept[-1] == _END:
        kept.pop()
    return kept


def chunk_hashes(rows: Sequence[Sequence[int]]) -> list[str]:
    """SHA-256 over the trimmed tokens of each 500 texts."""
    return [
        hashlib.sha256(json.dumps([trimmed(row) for row in rows[start : start + CHUNK]]).encode()).hexdigest()
        for start in range(0, len(rows), CHUNK)
    ]
