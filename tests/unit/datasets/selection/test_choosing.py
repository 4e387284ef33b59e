"""Quota, diversity and balance together."""

import numpy as np
from numpy.typing import NDArray

from kindred_datasets.selection.choosing import choose


def unit(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_seeds_take_turns() -> None:
    assert choose([0, 0, 0, 0, 1, 1], 4) == [0, 4, 1, 5]
    assert choose([0, 0, 0, 0, 1], 4) == [0, 4, 1, 2]
    assert choose([0], 9) == [0]


def test_diversity_spreads_within_each_seeds_share() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(np.repeat(rng.standard_normal((8, 16)), 10, axis=0) + 0.05 * rng.standard_normal((80, 16)))
    seeds = [n % 2 for n in range(80)]
    scores = np.linspace(1, 0, 80).astype(np.float32)
    near = choose(seeds, 16, vectors=vectors, scores=scores)
    wide = choose(seeds, 16, diversity=1, vectors=vectors, scores=scores)
    near_clusters, wide_clusters = (len({index // 10 for index in chosen}) for chosen in (near, wide))
    assert wide_clusters >= 3 * near_clusters
    for chosen in (near, wide):
        assert len(set(chosen)) == 16
        assert [seeds[index] for index in chosen].count(0) == 8


def test_balance_comes_last() -> None:
    classes = [{"dog"}] * 6 + [{"cat"}] * 2
    assert sorted(choose([0] * 8, 4, classes=classes)) == [0, 1, 6, 7]
    rng = np.random.default_rng(1)
    vectors, scores = unit(rng.standard_normal((8, 4))), np.ones(8, np.float32)
    chosen = choose([0] * 8, 4, diversity=0.5, vectors=vectors, scores=scores, classes=classes)
    assert len([index for index in chosen if index >= 6]) == 2
