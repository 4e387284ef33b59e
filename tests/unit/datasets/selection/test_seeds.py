"""Failure photos help each other find their kind, and hardly touch those of another kind."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.errors import FailureSetUnreadable
from kindred_datasets.selection.embedding import FAILURE
from kindred_datasets.selection.seeds import View, failure_seeds, helped, together
from kindred_datasets.store.checkpoints import GivenView


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def kind(number: int, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Photos of one kind: an axis, and much of their own."""
    rng = np.random.default_rng([number, seed])
    return unit(np.eye(64)[number] + 0.15 * rng.normal(size=(count, 64)))


def test_photos_of_one_kind_are_drawn_to_what_they_share() -> None:
    photos = kind(0, 6)
    before, after = photos @ np.eye(64)[0], together(photos) @ np.eye(64)[0]
    assert np.all(after > before + 0.05)
    assert np.allclose(np.linalg.norm(together(photos), axis=1), 1, atol=1e-6)


def test_another_kind_hardly_counts_and_the_opposite_not_at_all() -> None:
    alone, mixed = together(kind(0, 5)), together(np.concatenate([kind(0, 5), kind(1, 5)]))[:5]
    assert np.all((alone * mixed).sum(axis=1) > 0.97)
    one = kind(0, 1)
    assert np.allclose(together(np.concatenate([one, -one])), np.concatenate([one, -one]), atol=1e-6)
    assert np.allclose(together(one), one, atol=1e-6)


def test_boxes_help_boxes_and_photos_photos() -> None:
    photos, boxes = kind(0, 3), kind(1, 3)
    seeds = [
        [View(f"{n}", 0, vector=photos[n], space="s"), View(f"{n}#1", 1, vector=boxes[n], space="s")] for n in range(3)
    ]
    found = helped(seeds, {}, "s")
    assert [[view.name for view in views] for views in found] == [["0", "0#1"], ["1", "1#1"], ["2", "2#1"]]
    assert np.allclose([views[0].vector for views in found], together(photos), atol=1e-6)
    assert np.allclose([views[1].vector for views in found], together(boxes), atol=1e-6)


def test_a_gallery_photo_takes_its_vector_from_the_index_or_stays_as_it_is() -> None:
    there, gone = View("a", 0, image_id="a"), View("b", 0, image_id="b")
    [[first], [second]] = helped([[there], [gone]], {"a": kind(0, 1)[0].astype(np.float16)}, "s")
    assert first.vector is not None
    assert first.space == "s"
    assert len(first.term.embedding.values) == 64 * 4
    assert second.term.image_id == "b"


def test_what_cannot_be_looked_at_is_no_seed() -> None:
    photos = [pb.FailurePhoto(given=pb.GivenImage(blob_key="k", name=name)) for name in ("good", "bad")]
    vector = kind(0, 1)[0]
    given = [GivenView(FAILURE, 0, 0, "s", vector), GivenView(FAILURE, 1, 0, "", None, "torn", "it is torn")]
    assert [[view.name for view in views] for views in failure_seeds(pb.FailureSet(photos=photos), given)] == [["good"]]
    with pytest.raises(FailureSetUnreadable, match="torn"):
        failure_seeds(pb.FailureSet(photos=photos[1:]), [GivenView(FAILURE, 0, 0, "", None, "torn", "it is torn")])
