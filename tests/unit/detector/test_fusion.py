"""Weighted boxes fusion on boxes made by hand, and beside the library of its authors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred_detector.fusion import FUSION_IOU, fuse
from kindred_kit.models import FoundBox


def test_what_two_runs_see_is_averaged_by_score() -> None:
    [fused] = fuse([[FoundBox(3, 0.8, 0.1, 0.1, 0.5, 0.5)], [FoundBox(3, 0.4, 0.1, 0.1, 0.5, 0.53)]])
    assert fused.runs == (0, 1)
    assert fused.box.score == pytest.approx(0.6)
    assert fused.box.y_max == pytest.approx((0.8 * 0.5 + 0.4 * 0.53) / 1.2)
    assert fused.box.class_id == 3


def test_what_one_of_two_sees_keeps_half_its_score() -> None:
    [fused] = fuse([[FoundBox(3, 0.8, 0.1, 0.1, 0.5, 0.5)], []])
    assert (fused.runs, fused.box.score) == ((0,), pytest.approx(0.4))
    assert (fused.box.x_min, fused.box.y_max) == (pytest.approx(0.1), pytest.approx(0.5))


def test_agreement_counts_runs_and_not_boxes() -> None:
    twice = [FoundBox(0, 0.9, 0.1, 0.1, 0.5, 0.5), FoundBox(0, 0.5, 0.1, 0.1, 0.5, 0.52)]
    [fused] = fuse([twice, [], []])
    assert fused.runs == (0,)
    assert fused.box.score == pytest.approx(0.7 * 2 / 3)


def test_other_classes_and_places_stay_apart() -> None:
    cat, dog_there, other_cat = (
        FoundBox(15, 0.9, 0.1, 0.1, 0.5, 0.5),
        FoundBox(16, 0.8, 0.1, 0.1, 0.5, 0.5),
        FoundBox(15, 0.7, 0.5, 0.5, 0.9, 0.9),
    )
    fused = fuse([[cat], [dog_there, other_cat]])
    assert [(found.box.class_id, found.runs) for found in fused] == [(15, (0,)), (16, (1,)), (15, (1,))]
    assert fuse([]) == []
    assert fuse([[], []]) == []


def _random_runs(seed: int, runs: int, objects: int) -> list[list[FoundBox]]:
    """Runs that see the same objects a little differently, miss some and imagine others."""
    rng = np.random.default_rng(seed)
    truth = [(int(rng.integers(0, 3)), *rng.uniform(0, 0.6, 2), *rng.uniform(0.1, 0.4, 2)) for _ in range(objects)]
    seen: list[list[FoundBox]] = []
    for _ in range(runs):
        boxes = []
        for class_id, x, y, w, h in truth:
            for _ in range(int(rng.integers(0, 3))):  # missed, seen, or seen twice
                left, top, right, bottom = np.clip(
                    np.array([x, y, x + w, y + h]) + rng.normal(0, 0.02, 4), 0, 1
                ).tolist()
                boxes.append(FoundBox(class_id, float(rng.uniform(0.01, 1)), left, top, right, bottom))
        seen.append([box for box in boxes if box.x_max > box.x_min and box.y_max > box.y_min])
    return seen


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), runs=st.integers(1, 4), objects=st.integers(0, 12))
def test_the_same_as_ensemble_boxes(seed: int, runs: int, objects: int) -> None:
    library = pytest.importorskip("ensemble_boxes")
    seen = _random_runs(seed, runs, objects)
    boxes, scores, labels = library.weighted_boxes_fusion(
        [[(b.x_min, b.y_min, b.x_max, b.y_max) for b in run] for run in seen],
        [[b.score for b in run] for run in seen],
        [[b.class_id for b in run] for run in seen],
        iou_thr=FUSION_IOU,
    )
    ours = [found.box for found in fuse(seen)]
    assert [box.class_id for box in ours] == labels.astype(int).tolist()
    # the library sums corners in float32
    np.testing.assert_allclose([box.score for box in ours], scores, atol=1e-6)
    corners = np.array([(b.x_min, b.y_min, b.x_max, b.y_max) for b in ours]).reshape(-1, 4)
    np.testing.assert_allclose(corners, boxes, atol=1e-5)
