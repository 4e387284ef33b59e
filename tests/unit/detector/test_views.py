"""Looks at an image, and the way back."""

import numpy as np
import pytest

from kindred_detector.views import Augmentation, View
from kindred_kit.errors import InvalidArgument
from kindred_kit.models import FoundBox

PIXELS = np.arange(40 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 80, 3)


def corners(box: FoundBox) -> list[float]:
    return [box.x_min, box.y_min, box.x_max, box.y_max]


def test_the_plain_view_changes_nothing() -> None:
    box = FoundBox(1, 0.5, 0.0, 0.1, 1.0, 1.0)
    np.testing.assert_array_equal(View().of(PIXELS, 0), PIXELS)
    assert View().boxes_back([box]) == [box]


def test_a_flipped_box_comes_back() -> None:
    view = View(flipped=True)
    np.testing.assert_array_equal(view.of(PIXELS, 0), PIXELS[:, ::-1])
    [back] = view.boxes_back([FoundBox(1, 0.5, 0.1, 0.2, 0.4, 0.6)])
    assert corners(back) == pytest.approx([0.6, 0.2, 0.9, 0.6])


def test_a_smaller_scale_pads_all_around() -> None:
    [_, (view,)] = Augmentation(scales=(0.5,)).runs()
    seen = view.of(PIXELS, 7)
    assert seen.shape == (80, 160, 3)
    np.testing.assert_array_equal(seen[20:60, 40:120], PIXELS)
    assert (seen[:20] == 7).all()
    [back] = view.boxes_back([FoundBox(1, 0.5, 0.25, 0.25, 0.5, 0.5)])
    assert corners(back) == pytest.approx([0, 0, 0.5, 0.5])
    # in the padding alone
    assert view.boxes_back([FoundBox(1, 0.5, 0.0, 0.0, 0.2, 1.0)]) == []


def test_a_larger_scale_looks_at_four_parts_that_cover_the_image() -> None:
    [_, parts] = Augmentation(scales=(1.6,)).runs()
    covered = np.zeros((40, 80), bool)
    for part in parts:
        seen = part.of(PIXELS, 0)
        top, left = round(part.y_min * 40), round(part.x_min * 80)
        np.testing.assert_array_equal(seen, PIXELS[top : top + seen.shape[0], left : left + seen.shape[1]])
        covered[top : top + seen.shape[0], left : left + seen.shape[1]] = True
    assert covered.all()
    first, last = parts[0], parts[3]
    # what the cut halves goes; what ends at the image's own edge stays
    assert first.boxes_back([FoundBox(1, 0.5, 0.5, 0.2, 1.0, 0.5)]) == []
    [whole] = first.boxes_back([FoundBox(1, 0.5, 0.0, 0.0, 0.8, 0.8)])
    assert corners(whole) == pytest.approx([0, 0, 0.5, 0.5])
    [corner] = last.boxes_back([FoundBox(1, 0.5, 0.2, 0.2, 1.0, 1.0)])
    assert corners(corner) == pytest.approx([0.5, 0.5, 1, 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 2)])
@pytest.mark.parametrize("scale", [0.5, 0.9, 1.1, 2.0])
def test_every_shape_of_image_can_be_looked_at(shape: tuple[int, int], scale: float) -> None:
    pixels = np.full((*shape, 3), 9, np.uint8)
    for views in Augmentation(flip=True, scales=(scale,)).runs():
        for view in views:
            seen = view.of(pixels, 9)
            assert seen.size > 0
            assert (seen == 9).all()


@pytest.mark.parametrize("scales", [(1.0,), (0.4,), (2.1,), (float("nan"),), (0.5, 0.5), (0.5, 0.6, 0.7, 0.8)])
def test_scales_that_make_no_sense_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgument):
        Augmentation(scales=scales).check()
