"""Small pictures, encoded by Pillow in the test itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pillow_heif import HeifFile, from_pillow

Encode = Callable[..., bytes]


def _encode(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if format_name == "HEIF":
        heif: HeifFile = from_pillow(image)
        heif.save(buffer, **options)
    else:
        image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def encode() -> Encode:
    return _encode


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """96 x 64, smooth but different in every corner, so that a wrong turn or a wrong channel shows."""
    y, x = np.mgrid[0:64, 0:96].astype(np.float64)
    red, green, blue = 40 + 2 * x, 30 + 3 * y, 128 + 80 * np.sin(x / 9) * np.cos(y / 7)
    return Image.fromarray(np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def samples(picture: Image.Image) -> dict[str, bytes]:
    """One file of every kind that is read, by a name that starts with its format."""
    other = picture.transpose(Image.Transpose.ROTATE_180)
    animated: dict[str, Any] = {"save_all": True, "append_images": [other], "duration": 100}
    return {
        "jpeg": _encode(picture, "JPEG", quality=95),
        "jpeg-progressive": _encode(picture, "JPEG", quality=95, progressive=True),
        "jpeg-grey": _encode(picture.convert("L"), "JPEG", quality=95),
        "jpeg-cmyk": _encode(picture.convert("CMYK"), "JPEG", quality=95),
        "png": _encode(picture, "PNG"),
        "png-palette": _encode(picture.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "webp": _encode(picture, "WEBP", quality=95),
        "webp-lossless": _encode(picture, "WEBP", lossless=True),
        "webp-animated": _encode(picture, "WEBP", quality=95, **animated),
        "gif": _encode(picture, "GIF"),
        "gif-animated": _encode(picture, "GIF", **animated),
        "heic": _encode(picture, "HEIF", quality=95),
        "avif": _encode(picture, "AVIF", quality=95),
        "bmp": _encode(picture, "BMP"),
        "tiff": _encode(picture, "TIFF"),
        "tiff-lzw": _encode(picture, "TIFF", compression="tiff_lzw"),
    }
