"""From candidates to the images of a data set: quota, diversity, balance. Pure."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from kindred_datasets.selection.balance import balanced
from kindred_datasets.selection.quota import round_robin
from kindred_kit.selection import Vectors, diversify


def choose(
    seeds: Sequence[int],
    size: int,
    *,
    diversity: float = 0,
    vectors: Vectors | None = None,
    scores: NDArray[np.float32] | None = None,
    classes: Sequence[Collection[str]] | None = None,
) -> list[int]:
    """Indices of `size` candidates, at most all, in the order of choice.

    `seeds` [n]: which seed found each candidate; each seed gives the same share as long as it has any. Candidates of a
    seed come best first, or, with `diversity` (0..1; `vectors` [n, d] and `scores` [n] are needed then), near the seed
    and unlike each other. With `classes` [n] the classes get equal shares instead of the seeds, as far as they can.
    """
    of_seed: dict[int, list[int]] = {}
    for index, seed in enumerate(seeds):
        of_seed.setdefault(seed, []).append(index)
    lists = list(of_seed.values())
    if diversity:
        assert vectors is not None, "diversity needs vectors"
        assert scores is not None, "diversity needs scores"
        wanted = [len(items) for items in lists] if classes is not None else shares([len(i) for i in lists], size)
        lists = [_diverse(items, vectors, scores, count, diversity) for items, count in zip(lists, wanted, strict=True)]
    order = [index for _, index in round_robin(lists)]
    if classes is not None:
        return [order[place] for place in balanced([classes[index] for index in order], size)]
    return order[:size]


def shares(available: Sequence[int], size: int) -> list[int]:
    """How many a round robin takes from lists of these lengths until it has `size`."""
    taken = [0] * len(available)
    while size > 0 and (open_lists := [n for n, count in enumerate(available) if taken[n] < count]):
        each = max(1, size // len(open_lists))
        for n in open_lists:
            more = min(each, available[n] - taken[n], size)
            taken[n] += more
            size -= more
    return taken


def _diverse(
    items: Sequence[int], vectors: Vectors, scores: NDArray[np.float32], count: int, diversity: float
) -> list[int]:
    indices = np.asarray(items, np.int64)
    return [int(i) for i in indices[diversify(vectors[indices], scores[indices], count, diversity)]]
