"""Choosing among many candidates: near the query and unlike each other; and what belongs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Rows that are compared at a time: bounds memory and keeps the products in the processor's caches.
_BLOCK = 4096
# Candidates whose gains are kept exact between two passes over all: more means fewer passes and slower picks.
_FRONT = 1024

Vectors = NDArray[np.float32] | NDArray[np.float16]


def diversify(vectors: Vectors, scores: NDArray[np.floating], size: int, diversity: float) -> NDArray[np.int64]:
    """Choose `size` candidates, best first: indices int64 [min(size, n)].

    `vectors` [n, d], L2-normalised; `scores` [n], higher is better; `diversity` 0 = the best scores, 1 = the widest
    cover. Greedy maximal marginal relevance: each step takes the largest
    score + diversity * (distance to the nearest one chosen), scores scaled to 0..1 over the candidates, distances
    (1 - cosine) in units of the mean distance between two candidates, so that the setting means the same for text
    queries (low cosines) and photos. More weight on distance than on the score chose outliers and covered less of what
    was looked for (benchmarks/failure_set.py), so 1 is where they are even; where all scores are equal it is the
    farthest-first traversal, whose covering radius is at most twice the smallest possible.
    Equal gains: the better score, then the lower index.

    Memory beside the input: O(n + 4096 * picks between two passes). Time: O(n * size * d) at worst, in matrix products.
    Gains only fall while the chosen set grows, so between two passes over all candidates only the best are kept exact;
    the result is that of the plain algorithm.
    Raises ValueError for shapes that do not belong together or a diversity outside 0..1.
    Sources: Carbonell and Goldstein, SIGIR 1998 (relevance); Gonzalez, TCS 38, 1985 (cover); Minoux 1978 (lazy gains).
    """
    if vectors.ndim != 2 or scores.shape != vectors.shape[:1]:
        raise ValueError(f"{list(scores.shape)} scores for vectors {list(vectors.shape)}")
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must be 0..1, not {diversity}")
    order = np.argsort(-scores, kind="stable")
    size = max(0, min(size, len(order)))
    if diversity == 0 or size < 2:
        return order[:size]
    return order[_marginal_relevance(vectors, scores, order, size, diversity)]


class Groups:
    """Items 0..n-1, each a group by itself until it is joined with others."""

    def __init__(self, n: int) -> None:
        self._parents = list(range(n))

    def copy(self) -> Groups:
        other = Groups(0)
        other._parents = self._parents.copy()
        return other

    def join(self, one: int, other: int) -> bool:
        """Make their groups one; whether they were two."""
        low, high = sorted((self._root(one), self._root(other)))
        self._parents[high] = low  # the lowest member is the root: groups are numbered as they appear
        return low != high

    def are_apart(self, one: int, other: int) -> bool:
        return self._root(one) != self._root(other)

    def numbers(self) -> NDArray[np.int64]:
        """Group numbers int64 [n], counted in the order of first members."""
        numbers: dict[int, int] = {}
        roots = (self._root(item) for item in range(len(self._parents)))
        return np.array([numbers.setdefault(root, len(numbers)) for root in roots], np.int64)

    def _root(self, item: int) -> int:
        parents = self._parents
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item


def _marginal_relevance(
    vectors: Vectors, scores: NDArray[np.floating], order: NDArray[np.int64], size: int, diversity: float
) -> list[int]:
    """Positions in `order`, as they are chosen. A lower position wins between equal gains."""
    relevance = _to_unit(scores[order].astype(np.float64))
    novelty = diversity / _mean_distance(vectors)
    nearest = np.full(len(order), -1.0)  # cosine to the nearest one chosen
    chosen = [0]
    seen = 0
    while len(chosen) < size:
        _approach(nearest, vectors, order, chosen[seen:])
        seen = len(chosen)
        gains = relevance + novelty * (1 - nearest)
        gains[chosen] = -np.inf
        ranked = np.argsort(-gains, kind="stable")
        front = np.sort(ranked[:_FRONT])
        outside = int(ranked[_FRONT]) if len(ranked) > _FRONT else None
        rows = _rows(vectors, order[front])
        while len(chosen) < size:
            best = int(np.argmax(gains[front]))
            position = int(front[best])
            if outside is not None and (-gains[position], position) > (-gains[outside], outside):
                break  # one outside the front may be better by now
            chosen.append(position)
            nearest[front] = np.maximum(nearest[front], rows @ rows[best])
            gains[front] = np.minimum(gains[front], relevance[front] + novelty * (1 - nearest[front]))
            gains[position] = -np.inf
    return chosen


def _approach(nearest: NDArray[np.float64], vectors: Vectors, order: NDArray[np.int64], chosen: list[int]) -> None:
    """Raise `nearest` where one of the newly chosen is nearer."""
    new = _rows(vectors, order[chosen]).T
    for start in range(0, len(order), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.maximum(nearest[block], (_rows(vectors, order[block]) @ new).max(axis=1), out=nearest[block])


def _rows(vectors: Vectors, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    return vectors[indices].astype(np.float32, copy=False)


def _to_unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to 0..1; equal values to 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _mean_distance(vectors: Vectors) -> float:
    """Mean of 1 - cosine over all pairs, from the length of the mean vector; 1 where all vectors are the same."""
    mean: NDArray[np.float64] = vectors.mean(axis=0, dtype=np.float64)
    distance = 1 - float(np.square(mean).sum())
    return distance if distance > 1e-6 else 1.0
