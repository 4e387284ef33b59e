"""Groups of near copies: the same, whether all pairs are compared or only those that tell something."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.copies.guarding import Guard
from kindred_datasets.jobs import Progress
from kindred_datasets.selection.candidates import Candidate
from kindred_kit.imaging.copies import Copy

COPY = Copy(score=0.9, flipped=False, window=(0, 0, 1, 1))


class AlikeGallery:
    """Six images in a row look alike to the model."""

    async def embeddings(self, ids: Sequence[str], space: str) -> tuple[list[str], Any]:
        centres = np.random.default_rng(0).standard_normal((len(ids), 32))
        vectors = centres[[int(image_id) // 6 for image_id in ids]] if ids else np.empty((0, 32))
        noise = np.random.default_rng(1).standard_normal(vectors.shape) * 0.05
        rows = vectors + noise
        return list(ids), (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


class CountingPictures:
    """Images of one half dozen are copies, but for the one whose number is divisible by six."""

    def __init__(self) -> None:
        self.compared: list[tuple[int, int]] = []

    async def copies(self, pairs: Sequence[Any], progress: Progress) -> dict[Any, Copy]:
        numbers = {pair: tuple(int(subject.image_id) for subject in pair) for pair in pairs}
        self.compared += numbers.values()
        return {pair: COPY for pair, found in numbers.items() if all(number % 6 for number in found)}


@pytest.mark.parametrize("count", [6, 60, 300])
async def test_fewer_comparisons_give_the_same_groups(count: int) -> None:
    candidates = [Candidate(f"{n:04d}", 1.0, 0, "x") for n in range(count)]
    groups, compared = [], []
    for collapse in (True, False):
        pictures = CountingPictures()
        guard = Guard(AlikeGallery(), pictures, pb.DatasetSpec(), [], Progress())  # type: ignore[arg-type]
        groups.append((await guard.check(candidates, collapse=collapse)).groups)
        compared.append(len(pictures.compared))
        assert len(set(pictures.compared)) == len(pictures.compared)
    assert groups[0] == groups[1]
    assert len(set(groups[0].values())) == count // 3  # one of five, and one by itself, of each half dozen
    assert compared[1] < compared[0]
