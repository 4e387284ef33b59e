"""Diverse choice and grouping, against plain forms of the same and their promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred_kit.selection import Groups, diversify


def clustered(seed: int, n: int, clusters: int = 12, d: int = 24) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(clusters, d))[rng.integers(0, clusters, n)] + 0.5 * rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def gains(vectors: NDArray[np.float32], scores: NDArray[np.float32], chosen: list[int], diversity: float):
    """What each candidate would add to those chosen, from the definition."""
    relevance = (scores - scores.min()) / np.ptp(scores)
    mean = vectors.mean(axis=0)
    return relevance + diversity * (1 - (vectors @ vectors[chosen].T).max(axis=1)) / (1 - mean @ mean)


@given(st.integers(0, 10_000), st.integers(2, 200), st.integers(0, 250), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_as_many_as_asked_none_twice_the_best_first(seed, n, size, diversity) -> None:
    vectors = clustered(seed, n)
    scores = vectors @ vectors[0]
    chosen = diversify(vectors, scores, size, diversity)
    assert len(chosen) == len(set(chosen.tolist())) == min(size, n)
    assert all(0 <= index < n for index in chosen)
    assert len(chosen) == 0 or scores[chosen[0]] == scores.max()
    assert np.array_equal(chosen, diversify(vectors, scores, size, diversity))


def test_no_diversity_is_the_best_scores_with_ties_in_order() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.9, 0.1], np.float32)
    assert diversify(clustered(0, 5), scores, 3, 0).tolist() == [1, 3, 0]


@pytest.mark.parametrize("diversity", [0.3, 0.7, 1.0])
def test_every_step_takes_the_largest_gain_across_passes_over_all(diversity: float) -> None:
    vectors = clustered(1, 5000)
    scores = vectors @ vectors[7]
    chosen = diversify(vectors, scores, 400, diversity).tolist()
    for step in range(1, len(chosen), 13):
        added = gains(vectors, scores, chosen[:step], diversity)
        added[chosen[:step]] = -np.inf
        assert added[chosen[step]] >= added.max() - 1e-5


def test_equal_gains_go_to_the_better_score_then_the_lower_index() -> None:
    vectors = np.eye(6, dtype=np.float32)
    scores = np.array([0.1, 0.3, 0.2, 0.3, 0.2, 0.0], np.float32)
    assert diversify(vectors, scores, 6, 1).tolist() == [1, 3, 2, 4, 0, 5]
    assert diversify(vectors, np.zeros(6, np.float32), 6, 1).tolist() == [0, 1, 2, 3, 4, 5]


def test_without_scores_each_step_is_the_one_farthest_from_all_chosen() -> None:
    vectors = clustered(4, 400)
    chosen = diversify(vectors, np.zeros(400, np.float32), 25, 0.3).tolist()
    for step in range(1, 25):
        distances = (1 - vectors @ vectors[chosen[:step]].T).min(axis=1)
        assert distances[chosen[step]] >= distances.max() - 1e-5


def test_more_diversity_covers_more_and_scores_less() -> None:
    vectors = clustered(2, 1500, clusters=30)
    scores = vectors @ vectors[3]
    cover, relevance = [], []
    for diversity in (0.0, 0.3, 0.6, 1.0):
        chosen = diversify(vectors, scores, 40, diversity)
        cover.append(float((1 - (vectors @ vectors[chosen].T).max(axis=1)).mean()))
        relevance.append(float(scores[chosen].mean()))
    assert cover == sorted(cover, reverse=True)
    assert relevance == sorted(relevance, reverse=True)
    assert cover[-1] < 0.8 * cover[0]


def test_half_precision_chooses_alike_and_copies_of_one_vector_are_no_trouble() -> None:
    vectors = clustered(3, 300)
    scores = vectors @ vectors[0]
    half = diversify(vectors.astype(np.float16), scores, 20, 0.5)
    assert len(set(half.tolist()) & set(diversify(vectors, scores, 20, 0.5).tolist())) >= 18
    same = np.repeat(vectors[:1], 50, axis=0)
    assert diversify(same, np.ones(50, np.float32), 10, 1).tolist() == list(range(10))


def test_a_wrong_setting_or_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="diversity"):
        diversify(clustered(0, 4), np.zeros(4, np.float32), 2, 1.1)
    with pytest.raises(ValueError, match="scores"):
        diversify(clustered(0, 4), np.zeros(3, np.float32), 2, 0.5)


def group(pairs: list[tuple[int, int]], n: int) -> np.ndarray:
    groups = Groups(n)
    for pair in pairs:
        apart = groups.are_apart(*pair)
        assert groups.copy().join(*pair) is apart
        assert groups.join(*pair) is apart
        assert not groups.are_apart(*pair)
    return groups.numbers()


def test_groups_join_over_chains_and_count_in_order() -> None:
    assert group([(5, 3), (3, 1), (4, 4)], 6).tolist() == [0, 1, 2, 1, 3, 1]
    assert group([], 3).tolist() == [0, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_groups_are_the_connected_parts(pairs: list[tuple[int, int]]) -> None:
    numbers = group(pairs, 31)
    reach = np.eye(31, dtype=bool)
    for one, other in pairs:
        reach[one, other] = reach[other, one] = True
    for middle in range(31):
        reach |= np.outer(reach[:, middle], reach[middle])
    assert np.array_equal(numbers[:, None] == numbers[None, :], reach)
