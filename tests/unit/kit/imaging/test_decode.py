from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from kindred_kit.imaging import ImageLimits, decode, probe

LIMITS = ImageLimits()
KINDS = [
    *("jpeg", "jpeg-progressive", "jpeg-grey", "jpeg-cmyk", "png", "png-palette", "webp", "webp-lossless"),
    *("webp-animated", "gif", "gif-animated", "heic", "avif", "bmp", "tiff", "tiff-lzw"),
]
_ORIENTATION = 0x0112


def _difference(pixels: np.ndarray, expected: Image.Image) -> float:
    return float(np.abs(pixels.astype(int) - np.asarray(expected.convert("RGB")).astype(int)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_decodes_to_what_went_in(kind: str, samples: dict[str, bytes], picture: Image.Image) -> None:
    pixels = decode(samples[kind], LIMITS)
    expected = picture.convert("L") if kind == "jpeg-grey" else picture
    assert pixels.dtype == np.uint8
    assert pixels.shape == (64, 96, 3)
    assert pixels.flags.c_contiguous
    # GIF and the palette PNG have 256 colours; an animation's second frame, upside down, would be far off
    assert _difference(pixels, expected) < 8


@pytest.mark.parametrize("kind", KINDS)
def test_probe_agrees_with_decode(kind: str, samples: dict[str, bytes]) -> None:
    info = probe(samples[kind], LIMITS)
    assert info.format == kind.partition("-")[0]
    assert info.mime == f"image/{info.format}"
    assert (info.height, info.width) == decode(samples[kind], LIMITS).shape[:2]


def test_ordinary_jpegs_decode_as_pillow_does(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        data = encode(picture, "JPEG", quality=90, **options)
        assert _difference(decode(data, LIMITS), Image.open(io.BytesIO(data))) < 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_as_pillow_does(
    format_name: str, orientation: int, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    data = encode(picture, format_name, exif=exif.tobytes())
    turned = picture.copy()
    turned.getexif()[_ORIENTATION] = orientation
    expected = ImageOps.exif_transpose(turned)
    pixels = decode(data, LIMITS)
    info = probe(data, LIMITS)
    assert pixels.shape[:2] == (expected.height, expected.width) == (info.height, info.width)
    assert _difference(pixels, expected) < 6
    assert info.orientation == (1 if format_name == "HEIF" else orientation)


def test_png_orientation_behind_the_pixels_counts(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    data = encode(picture, "PNG", exif=exif.tobytes())
    at = data.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    iend = data.index(b"IEND") - 4
    moved = data[:at] + data[end:iend] + data[at:end] + data[iend:]
    assert decode(moved, LIMITS).shape == (96, 64, 3)
    assert probe(moved, LIMITS).orientation == 6


def test_absurd_orientation_is_ignored(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 77
    assert probe(encode(picture, "JPEG", exif=exif.tobytes()), LIMITS).orientation == 1


@pytest.mark.parametrize(("format_name", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_is_composited_over_white(
    format_name: str, options: dict[str, Any], encode: Callable[..., bytes]
) -> None:
    rgba = np.zeros((8, 12, 4), np.uint8)
    rgba[:, 4:8, 3], rgba[:, 8:, 3] = 128, 255
    pixels = decode(encode(Image.fromarray(rgba), format_name, **options), LIMITS)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert abs(int(pixels[0, 5, 0]) - 127) <= 1
    assert pixels[0, 11].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["LA", "P", "1"])
def test_other_transparent_modes(mode: str, encode: Callable[..., bytes]) -> None:
    if mode == "LA":
        image, options = Image.new("LA", (4, 4), (0, 0)), {}
    else:
        image, options = Image.new(mode, (4, 4), 0), {"transparency": 0}
    assert (decode(encode(image, "PNG", **options), LIMITS) == 255).all()


def test_transparent_gif_over_white(encode: Callable[..., bytes]) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30] + [0, 0, 0] * 255)
    assert (decode(encode(image, "GIF", transparency=0), LIMITS) == 255).all()


def test_sixteen_bits_are_scaled_not_clipped(encode: Callable[..., bytes]) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, axis=0)
    pixels = decode(encode(Image.fromarray(ramp), "PNG"), LIMITS)
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    tiff = decode(encode(Image.fromarray(ramp), "TIFF"), LIMITS)
    assert (tiff == pixels).all()


def test_cmyk_inversion_as_adobe_writes_it(encode: Callable[..., bytes]) -> None:
    pixels = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95), LIMITS)
    assert pixels[8, 8, 0] > 240
    assert pixels[8, 8, 1] < 15


def test_dct_scaling_keeps_three_times_the_side() -> None:
    photo = simplejpeg.encode_jpeg(np.full((1500, 2000, 3), 90, np.uint8), 80, "RGB", "420")
    assert decode(photo, LIMITS).shape == (1500, 2000, 3)
    assert decode(photo, LIMITS, min_side_px=640).shape == (1500, 2000, 3)
    assert decode(photo, LIMITS, min_side_px=250).shape == (750, 1000, 3)
    assert decode(photo, LIMITS, min_side_px=224).shape == (750, 1000, 3)
    assert decode(photo, LIMITS, min_side_px=62).shape == (188, 250, 3)


def test_dct_scaling_of_odd_sizes_and_other_formats(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    photo = simplejpeg.encode_jpeg(np.full((1501, 1999, 3), 90, np.uint8), 80, "RGB", "420")
    assert decode(photo, LIMITS, min_side_px=224).shape == (751, 1000, 3)
    assert decode(encode(picture, "PNG"), LIMITS, min_side_px=1).shape == (64, 96, 3)


def test_jpeg_with_stray_bytes_still_decodes(samples: dict[str, bytes]) -> None:
    data = samples["jpeg"]
    stray = data[:-2] + b"\x00\x00\x00" + data[-2:] + b"a trailer, as phones append"
    assert np.abs(decode(stray, LIMITS).astype(int) - decode(data, LIMITS)).mean() < 0.5
