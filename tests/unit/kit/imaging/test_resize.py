from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kindred_kit.imaging import Letterbox, resize_center_crop, resize_letterbox, resize_stretch, thumbnail

Pixels = NDArray[np.uint8]
EXTREMES = [(1, 4000), (4000, 1), (1, 1), (2, 3)]


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    data = pytest.importorskip("skimage.data", reason="scikit-image brings the photos")
    return [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.hubble_deep_field()]


def _noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def _clip_reference(pixels: Pixels, size: int) -> Pixels:
    """torchvision's Resize and CenterCrop, by Pillow."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    new_width, new_height = int(size * width / short), int(size * height / short)
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)
    resized = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _worst(ours: Pixels, reference: Pixels) -> int:
    return int(np.abs(ours.astype(int) - reference.astype(int)).max())


@pytest.mark.parametrize(("width", "height"), [(224, 224), (640, 640), (320, 200), (97, 1000)])
def test_stretch_is_pillows_bicubic_within_two_levels(photos: list[Pixels], width: int, height: int) -> None:
    for photo in photos:
        reference = np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC))
        assert _worst(resize_stretch(photo, width, height), reference) <= 2


@pytest.mark.parametrize("size", [224, 336, 600])
def test_center_crop_is_clips_within_two_levels(photos: list[Pixels], size: int) -> None:
    for photo in photos:
        assert _worst(resize_center_crop(photo, size), _clip_reference(photo, size)) <= 2


def test_letterbox_places_pillows_resize_on_grey(photos: list[Pixels]) -> None:
    padded, box = resize_letterbox(photos[1], 640, 640)  # 451 x 300
    inner = np.asarray(Image.fromarray(photos[1]).resize((640, 426), Image.Resampling.BICUBIC))
    assert (box.pad_x, box.pad_y) == (0, 107)
    assert _worst(padded[107:533], inner) <= 2
    assert (padded[:107] == 114).all()
    assert (padded[533:] == 114).all()


@pytest.mark.parametrize(("height", "width"), EXTREMES)
def test_extremes(height: int, width: int) -> None:
    pixels = _noise(height, width)
    assert resize_stretch(pixels, 224, 160).shape == (160, 224, 3)
    padded, box = resize_letterbox(pixels, 640, 480)
    assert padded.shape == (480, 640, 3)
    assert (padded != 114).any()
    assert _worst(resize_center_crop(pixels, 224), _clip_reference(pixels, 224)) <= 2
    whole = box.invert(np.array([[0, 0, 640, 480]], np.float32))
    assert whole.tolist() == [[0, 0, width, height]]


def test_an_extreme_image_builds_no_giant_between_the_passes() -> None:
    # Rows first would need 640 x 10,000,000 pixels (19 GB).
    assert resize_stretch(np.zeros((10_000_000, 1, 3), np.uint8), 640, 8).shape == (8, 640, 3)


@pytest.mark.parametrize(("height", "width"), [(300, 451), (700, 333), (64, 64), (97, 1000)])
def test_letterbox_round_trip(height: int, width: int) -> None:
    padded, box = resize_letterbox(np.full((height, width, 3), 200, np.uint8), 640, 512)
    rows, columns = np.nonzero((padded == 200).all(axis=2))
    found = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    inverted = box.invert(found)
    assert inverted.dtype == np.float32
    # rounding the inner side is worth half a target pixel
    assert np.abs(inverted - [[0, 0, width, height]]).max() <= 0.5 / box.scale + 1e-3


def test_letterbox_inverts_no_boxes_and_clips() -> None:
    box = Letterbox(scale=0.5, pad_x=10, pad_y=0, source_width=100, source_height=50)
    assert box.invert(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert box.invert(np.array([[0, -5, 1000, 20]], np.float32)).tolist() == [[0, 0, 100, 40]]


def test_views_and_identity() -> None:
    pixels = _noise(50, 60)
    assert (resize_stretch(pixels, 60, 50) == pixels).all()
    flipped = pixels[::-1, ::2]
    assert (resize_stretch(flipped, 30, 50) == flipped).all()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_wrong_pixels_are_refused(wrong: Pixels) -> None:
    for resize in (lambda: resize_stretch(wrong, 8, 8), lambda: resize_center_crop(wrong, 8), lambda: thumbnail(wrong)):
        with pytest.raises(ValueError, match=r"expected uint8 \[h, w, 3\]"):
            resize()
    with pytest.raises(ValueError, match="at least 1"):
        resize_stretch(_noise(4, 4), 0, 8)


def test_threads_do_not_disturb_each_other() -> None:
    inputs = [_noise(120 + 7 * n, 200 - 5 * n) for n in range(16)]
    alone = [resize_center_crop(pixels, 64) for pixels in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pixels: resize_center_crop(pixels, 64), inputs * 4))
    assert all((ours == alone[n % 16]).all() for n, ours in enumerate(together))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(600, 800, (320, 240)), (800, 600, (240, 320)), (100, 50, (50, 100)), (4000, 1, (1, 320)), (1, 1, (1, 1))],
)
def test_thumbnail_fits_and_never_grows(height: int, width: int, expected: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(thumbnail(_noise(height, width))))
    assert image.format == "JPEG"
    assert image.size == expected
    assert not image.getexif()


def test_thumbnail_of_a_view_and_its_quality(photos: list[Pixels]) -> None:
    mirrored = photos[0][:, ::-1]
    small = np.asarray(Image.open(io.BytesIO(thumbnail(mirrored, 512))))
    assert np.abs(small.astype(int) - mirrored).mean() < 4
    assert len(thumbnail(photos[0], quality=30)) < len(thumbnail(photos[0]))
    with pytest.raises(ValueError, match="quality"):
        thumbnail(photos[0], quality=0)
