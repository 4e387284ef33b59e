"""Copies of real photos are found, and where they lie; another photo of the same scene is none."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from support.paths import shared
from support.photos import skimage_photo

from kindred_kit.imaging.copies import Copy, compare, signature

PHOTOS = ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "retina.jpg", "motorcycle_left.png"]
WHOLE = (0.0, 0.0, 1.0, 1.0)
Box = tuple[float, float, float, float]


def photo(name: str) -> Image.Image:
    image = Image.open(io.BytesIO(skimage_photo(name))).convert("RGB")
    image.thumbnail((320, 320))
    return image


def of(image: Image.Image) -> bytes:
    return signature(np.asarray(image.convert("RGB")))


def saved(image: Image.Image, quality: int = 20) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


def cut(image: Image.Image, box: Box) -> Image.Image:
    width, height = image.size
    return image.crop((round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height)))


def iou(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared_area = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared_area / (sum(areas) - shared_area)


def found(original: Image.Image, copy: Image.Image, window: Box, *, flipped: bool = False) -> Copy:
    result = compare(of(original), of(copy))
    assert result is not None
    assert result.flipped is flipped
    assert iou(result.window, window) > 0.95
    return result


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(saved, id="saved again"),
        pytest.param(lambda image: image.resize((image.width // 2, image.height // 2)), id="half as large"),
        pytest.param(lambda image: image.resize((224, 224)), id="stretched"),
        pytest.param(lambda image: image.point(lambda level: min(255, round(level * 1.4))), id="brighter"),
        pytest.param(lambda image: image.point(lambda level: round(level * 0.6)), id="darker"),
        pytest.param(lambda image: ImageEnhance.Contrast(image).enhance(0.6), id="flatter"),
        pytest.param(lambda image: image.convert("L"), id="without colour"),
    ],
)
def test_a_changed_copy_is_found(name: str, change: Callable[[Image.Image], Image.Image]) -> None:
    original = photo(name)
    assert found(original, change(original), WHOLE).score > 0.5


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "box", [(0, 0, 0.7, 0.7), (0.3, 0.3, 1, 1), (0.2, 0.1, 0.9, 0.9), (0.25, 0, 0.95, 1), (0.05, 0.1, 1, 1)]
)
def test_a_crop_is_found_where_it_was_cut_and_the_other_way_round(name: str, box: Box) -> None:
    original = photo(name)
    crop = saved(cut(original, box), 60)
    found(original, crop, box)
    width, height = box[2] - box[0], box[3] - box[1]
    found(crop, original, (-box[0] / width, -box[1] / height, (1 - box[0]) / width, (1 - box[1]) / height))


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "motorcycle_left.png"])
def test_a_mirrored_crop_that_was_saved_again_is_found(name: str) -> None:
    original = photo(name)
    box = (0.1, 0.25, 0.85, 0.95)
    found(original, saved(ImageOps.mirror(cut(original, box))), box, flipped=True)


@pytest.mark.parametrize("name", PHOTOS)
def test_two_crops_of_one_photo_are_copies_of_each_other(name: str) -> None:
    original = photo(name)
    left, right = cut(original, (0, 0, 0.8, 0.85)), cut(original, (0.2, 0.15, 1, 1))
    found(left, right, (0.25, 0.15 / 0.85, 1.25, 1 / 0.85))


def test_different_photos_are_no_copies() -> None:
    signatures = [of(photo(name)) for name in PHOTOS]
    pairs = [(one, other) for number, one in enumerate(signatures) for other in signatures[:number]]
    assert [compare(*pair) for pair in pairs] == [None] * len(pairs)


def test_the_same_scene_a_moment_later_is_no_copy() -> None:
    """A camera on a tripod: nothing changes but where somebody stands."""
    somebody = cut(photo("astronaut.png"), (0.2, 0, 0.7, 0.6)).resize((70, 84))

    def scene(x: int) -> Image.Image:
        image = photo("coffee.png")
        image.paste(somebody, (x, 60))
        return image

    assert compare(of(scene(40)), of(scene(40))) is not None
    assert compare(of(scene(40)), of(scene(52))) is None
    assert compare(of(scene(40)), of(scene(180))) is None


def test_the_other_eye_of_a_stereo_pair_is_no_copy() -> None:
    assert compare(of(photo("motorcycle_left.png")), of(photo("motorcycle_right.png"))) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("000000084492.jpg", "000000426203.jpg"),  # two shots of one jump from one place
        ("000000451435.jpg", "000000562581.jpg"),  # one tennis court, one player, two moments
        ("000000352491.jpg", "000000469246.jpg"),
        ("000000006460.jpg", "000000375469.jpg"),
    ],
)
def test_consecutive_shots_are_no_copies(one: str, other: str) -> None:
    images = shared("data", "coco_captioned", "images")
    assert compare(of(Image.open(images / one)), of(Image.open(images / other))) is None


def test_pictures_without_detail_are_not_compared() -> None:
    blank = Image.new("RGB", (200, 150), (200, 30, 30))
    assert compare(of(blank), of(blank)) is None
    assert compare(of(blank), of(photo("coffee.png"))) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 3), (97, 96)])
def test_any_size_has_a_small_signature(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert len(signature(noise)) <= 1 + 96 * 96
    assert compare(signature(noise), of(photo("coffee.png"))) is None


def test_what_is_no_signature_or_no_picture_is_refused() -> None:
    good = of(photo("coffee.png"))
    for bad in (b"", b"\x00", b"\x60", good[:-1], bytes([97]) + good[1:], bytes([12]) + bytes(12 * 97)):
        with pytest.raises(ValueError, match="no signature"):
            compare(good, bad)
    with pytest.raises(ValueError, match="uint8"):
        signature(np.zeros((4, 4), np.uint8))
