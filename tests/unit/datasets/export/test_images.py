"""Image files as every reader can use them."""

import io

import numpy as np
import pytest
from PIL import Image
from support.photos import encoded, noise_jpeg

from kindred_datasets.export.images import readable
from kindred_kit.errors import ImageError


def photo() -> Image.Image:
    return Image.open(io.BytesIO(noise_jpeg(1, 60, 40)))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PLAIN = {
    "jpeg": encoded(photo(), "JPEG"),
    "grey jpeg": encoded(photo().convert("L"), "JPEG"),
    "progressive jpeg": encoded(photo(), "JPEG", progressive=True),
    "png": encoded(photo(), "PNG"),
    "palette png": encoded(photo().convert("P"), "PNG"),
}
OTHERS = {
    "webp": encoded(photo(), "WEBP"),
    "gif": encoded(photo().convert("P"), "GIF"),
    "bmp": encoded(photo(), "BMP"),
    "tiff": encoded(photo(), "TIFF"),
    "avif": encoded(photo(), "AVIF"),
    "cmyk jpeg": encoded(photo().convert("CMYK"), "JPEG"),
    "png with alpha": encoded(photo().convert("RGBA"), "PNG"),
    "16-bit png": encoded(Image.fromarray(np.full((40, 60), 40_000, np.uint16)), "PNG"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_a_plain_image_keeps_its_bytes(data: bytes) -> None:
    file = readable(data, "coco")
    assert (file.data, file.changed) == (data, "")
    assert file.suffix == (".png" if data.startswith(b"\x89PNG") else ".jpg")


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_any_other_becomes_a_jpeg_and_says_so(data: bytes) -> None:
    file = readable(data, "yolo")
    assert file.suffix == ".jpg"
    assert file.changed.startswith("was ")
    image = Image.open(io.BytesIO(file.data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (60, 40))


def test_voc_knows_jpeg_alone() -> None:
    assert readable(PLAIN["jpeg"], "voc").data == PLAIN["jpeg"]
    assert readable(PLAIN["png"], "voc").suffix == ".jpg"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_turned_photo_is_turned_as_its_boxes_are(image_format: str) -> None:
    file = readable(encoded(photo(), image_format, exif=turned(6).tobytes()), "coco")
    image = Image.open(io.BytesIO(file.data))
    assert image.size == (40, 60)
    assert image.getexif().get(0x0112, 1) == 1
    upright = np.asarray(photo().transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(np.asarray(image).astype(int) - upright).mean() < 3


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError):
        readable(b"\xff\xd8\xff no", "coco")
