import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred_kit.errors import InvalidArgument
from kindred_search import labels
from kindred_search.domain import Detection
from kindred_search.labels import LabelTerm
from kindred_search.vectors.evaluate import passes
from kindred_search.vectors.port import Row

SCORES = st.one_of(st.floats(0, 1, width=32), st.integers(0, 20).map(lambda n: float(np.float32(n) / np.float32(20))))


def boxes(*scores: float, class_id: int = 3, label_set: str = "coco-80") -> list[Detection]:
    return [Detection(label_set, "m", "1", class_id, "c", score, (0, 0, 1, 1), "single", 1) for score in scores]


def row(found: list[Detection]) -> Row:
    return Row("0" * 64, np.ones(1, dtype=np.float32), 1, (), labels.tokens(found), "photo", "jpeg", 1, 1, 1)


def test_a_token_for_each_of_the_five_best_scores() -> None:
    found = boxes(0.52, 0.99, 0.1, 0.3, 0.2, 0.9)
    assert labels.tokens(found) == (
        "coco-80:3#1@19",
        "coco-80:3#2@18",
        "coco-80:3#3@10",
        "coco-80:3#4@6",
        "coco-80:3#5@4",
    )


def test_classes_and_label_sets_are_counted_apart() -> None:
    found = [*boxes(0.5), *boxes(0.5, class_id=4), *boxes(0.5, label_set="open-600")]
    assert labels.tokens(found) == ("coco-80:3#1@10", "coco-80:4#1@10", "open-600:3#1@10")


@pytest.mark.parametrize(
    ("score", "bucket"), [(0.0, 0), (0.049, 0), (0.05, 1), (0.3, 6), (0.35, 7), (0.999, 19), (1.0, 20)]
)
def test_a_bucket_begins_at_its_edge(score: float, bucket: int) -> None:
    assert labels.bucket(float(np.float32(score))) == bucket


@given(st.lists(SCORES, max_size=8), SCORES, st.integers(1, 5))
def test_tokens_bound_the_truth_from_both_sides(scores: list[float], min_score: float, min_count: int) -> None:
    term = LabelTerm("coco-80", 3, "c", min_score, min_count)
    found = boxes(*scores)
    surely, truth = passes(row(found), labels.surely_holds(term)), labels.holds(term, found)
    perhaps = passes(row(found), labels.may_hold(term))
    assert surely <= truth <= perhaps
    if term.exact:
        assert surely == truth == perhaps


@pytest.mark.parametrize("name", ["", "COCO", "coco 80", "a'b", "a:b", "a#b", "x" * 65])
def test_a_label_set_has_a_plain_name(name: str) -> None:
    with pytest.raises(InvalidArgument):
        labels.require_label_set(name)
