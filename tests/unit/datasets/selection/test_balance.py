"""Balanced choice: classes get equal shares as far as they go."""

from collections import Counter

from kindred_datasets.selection.balance import balanced

DOG, CAT, BOTH, NONE = frozenset({"dog"}), frozenset({"cat"}), frozenset({"dog", "cat"}), frozenset[str]()


def test_a_rare_class_gets_its_share() -> None:
    classes = [DOG] * 50 + [CAT] * 5
    chosen = balanced(classes, 10)
    assert Counter(name for index in chosen for name in classes[index]) == {"dog": 5, "cat": 5}
    assert sorted(chosen) == [0, 1, 2, 3, 4, 50, 51, 52, 53, 54]  # the best of each


def test_a_class_that_has_ended_leaves_its_place_to_others() -> None:
    classes = [DOG] * 50 + [CAT] * 2
    assert Counter(name for index in balanced(classes, 10) for name in classes[index]) == {"dog": 8, "cat": 2}


def test_an_image_of_two_classes_counts_for_both() -> None:
    classes = [DOG, DOG, DOG, BOTH, CAT, CAT]
    assert balanced(classes, 3) == [3, 4, 0]


def test_images_without_a_class_come_last_in_their_order() -> None:
    assert balanced([NONE, DOG, NONE, CAT], 4) == [3, 1, 0, 2]
    assert balanced([NONE, NONE], 5) == [0, 1]
    assert balanced([], 5) == []
