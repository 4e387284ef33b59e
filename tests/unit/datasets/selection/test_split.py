"""The split: by group, seeded, stable, about as large as asked."""

import hashlib
import random

import pytest

from kindred_datasets.selection.split import split_of


def ids(count: int) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_group_lies_in_one_part_and_the_share_is_met(share: float, seed: int) -> None:
    rng = random.Random(seed)
    groups = [rng.randint(0, 300) for _ in range(1000)]
    splits = split_of(ids(1000), groups, share, seed)
    parts = {group: {split for split, other in zip(splits, groups, strict=True) if other == group} for group in groups}
    assert all(len(part) == 1 for part in parts.values())
    assert splits.count("val") == pytest.approx(share * 1000, abs=10)


def test_it_hangs_on_the_images_not_on_their_order() -> None:
    names = ids(100)
    groups = [n // 3 for n in range(100)]
    by_id = dict(zip(names, split_of(names, groups, 0.3, 1), strict=True))
    order = random.Random(2).sample(range(100), 100)
    renamed = {group: place for place, group in enumerate(dict.fromkeys(groups[n] for n in order))}
    again = split_of([names[n] for n in order], [renamed[groups[n]] for n in order], 0.3, 1)
    assert [by_id[names[n]] for n in order] == again


def test_another_seed_draws_another_part() -> None:
    names, groups = ids(100), list(range(100))
    assert split_of(names, groups, 0.3, 1) != split_of(names, groups, 0.3, 2)


def test_small_sets() -> None:
    assert split_of(ids(4), [0, 1, 2, 3], 0, 0) == ["train"] * 4
    assert split_of(ids(1), [0], 0.5, 0) == ["train"]
    assert split_of(ids(5), [0] * 5, 0.5, 0) == ["train"] * 5
    assert sorted(split_of(ids(2), [0, 1], 0.1, 0)) == ["train", "val"]
    assert split_of(ids(2), [0, 1], 0.9, 0).count("train") == 1


def test_a_huge_group_does_not_swallow_the_validation_part() -> None:
    groups = [0] * 90 + list(range(1, 11))
    for seed in range(20):
        splits = split_of(ids(100), groups, 0.1, seed)
        assert splits.count("val") > 0
        assert splits.count("train") > 0
