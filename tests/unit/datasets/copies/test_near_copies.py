"""Which pairs are compared, against the plain way, and how a copy is described."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kindred_datasets.copies import near_copies
from kindred_datasets.copies.near_copies import described, pairs_between, pairs_within
from kindred_kit.imaging.copies import Copy


def vectors(seed: int, n: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("cells", [1, 100, 8_000_000])
def test_the_most_alike_few_of_each_above_the_least_cosine(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(near_copies, "_BLOCK_CELLS", cells)
    images, others = vectors(0, 40), vectors(1, 30)
    found = pairs_between(images, others, 0.3, 2)
    cosines = images @ others.T
    expected = [
        (row, column)
        for row in range(40)
        for column in sorted(range(30), key=lambda column: -cosines[row, column])[:2]
        if cosines[row, column] >= 0.3
    ]
    assert [(pair.one, pair.other) for pair in found] == expected
    assert [pair.cosine for pair in found] == pytest.approx([cosines[place] for place in expected], abs=1e-5)


@pytest.mark.parametrize("cells", [1, 100, 8_000_000])
def test_within_a_set_each_pair_comes_once_and_none_with_itself(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(near_copies, "_BLOCK_CELLS", cells)
    images = vectors(2, 40)
    found = [(pair.one, pair.other) for pair in pairs_within(images.astype(np.float16), 0.2, 3)]
    cosines = images @ images.T
    np.fill_diagonal(cosines, -1)
    best = {(row, int(column)) for row in range(40) for column in np.argsort(-cosines[row])[:3]}
    expected = {(min(pair), max(pair)) for pair in best if cosines[pair] >= 0.2}
    assert found == sorted(expected)


def test_nothing_is_like_zeros_and_empty_sets_have_no_pairs() -> None:
    some = vectors(3, 4)
    assert pairs_between(np.zeros((2, 8), np.float16), some, 0.1, 4) == []
    assert pairs_between(some, some[:0], 0.0, 4) == pairs_between(some[:0], some, 0.0, 4) == []
    assert pairs_within(some[:1], -1, 4) == []


def test_a_copy_is_described() -> None:
    assert described(Copy(0.934, False, (0, 0, 1, 1))) == "all of it, agreement 0.93"
    assert described(Copy(0.9, True, (0.1, 0.2, 0.8, 0.9))) == "cropped to 49 % of it, mirrored, agreement 0.90"
    assert described(Copy(0.9, False, (-0.2, -0.2, 1.2, 1.2))) == "all of it and more around, agreement 0.90"
    assert described(Copy(0.9, False, (0.25, 0, 1.25, 1))) == "cropped to 75 % of it and more around, agreement 0.90"
