"""Round robin: no list starves, whatever they share."""

import random
from collections import Counter

from kindred_datasets.selection.choosing import shares
from kindred_datasets.selection.quota import round_robin


def test_lists_take_turns() -> None:
    assert list(round_robin([["a", "b", "c"], ["x"], ["m", "n"]])) == [
        (0, "a"), (1, "x"), (2, "m"), (0, "b"), (2, "n"), (0, "c"),
    ]  # fmt: skip


def test_what_two_lists_share_counts_for_the_first() -> None:
    assert list(round_robin([["a", "b"], ["a", "b", "c"]])) == [(0, "a"), (1, "b"), (1, "c")]


def test_every_list_has_its_share_at_any_length() -> None:
    rng = random.Random(0)
    for _ in range(200):
        lists = [rng.sample(range(60), rng.randint(0, 30)) for _ in range(rng.randint(1, 6))]
        found = list(round_robin(lists))
        assert [item for _, item in found] == list(dict.fromkeys(item for _, item in found))
        assert {item for _, item in found} == {item for items in lists for item in items}
        given: Counter[int] = Counter()
        ended: set[int] = set()
        for place, (number, _) in enumerate(found):
            given[number] += 1
            taken = {item for _, item in found[: place + 1]}
            ended = {n for n, items in enumerate(lists) if set(items) <= taken}
            running = [given[n] for n in range(len(lists)) if n not in ended]
            assert not running or max(running) - min(running) <= 1


def test_shares_are_those_of_a_round_robin() -> None:
    rng = random.Random(1)
    for _ in range(200):
        lengths = [rng.randint(0, 12) for _ in range(rng.randint(1, 6))]
        size = rng.randint(0, 40)
        lists = [[(n, place) for place in range(length)] for n, length in enumerate(lengths)]
        dealt = Counter(number for number, _ in list(round_robin(lists))[:size])
        found = shares(lengths, size)
        assert sum(found) == min(size, sum(lengths))
        assert all(abs(found[n] - dealt[n]) <= 1 for n in range(len(lengths)))
