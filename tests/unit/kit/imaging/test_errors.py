"""Each way in which bytes can fail to be an image has its own error, and there is no other."""

from __future__ import annotations

import random
import struct
import warnings
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from kindred_kit.errors import (
    ImageEmpty,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageTruncated,
    ImageUnsupportedFormat,
    KindredError,
)
from kindred_kit.imaging import ImageLimits, decode, looks_like, probe

LIMITS = ImageLimits()
READERS: list[Callable[..., object]] = [probe, decode]
IMAGE_ERRORS = (ImageEmpty, ImageTooLarge, ImageTooManyPixels, ImageTruncated, ImageUnsupportedFormat)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_of(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")


def _error(read: Callable[..., object], data: bytes, limits: ImageLimits) -> type[KindredError] | None:
    try:
        read(data, limits)
    except KindredError as error:
        return type(error)
    return None


@pytest.mark.parametrize("read", READERS)
def test_empty_and_too_large(read: Callable[..., object], samples: dict[str, bytes]) -> None:
    with pytest.raises(ImageEmpty):
        read(b"", LIMITS)
    with pytest.raises(ImageTooLarge, match="1,000"):
        read(samples["bmp"], ImageLimits(max_bytes=1000))


@pytest.mark.parametrize("read", READERS)
def test_too_many_pixels_is_told_from_the_header(read: Callable[..., object]) -> None:
    with pytest.raises(ImageTooManyPixels, match="30000 x 30000"):
        read(_png_of(30000, 30000), LIMITS)


@pytest.mark.parametrize("read", READERS)
def test_every_format_bounds_its_pixels(read: Callable[..., object], samples: dict[str, bytes]) -> None:
    for name, data in samples.items():
        assert _error(read, data, ImageLimits(max_pixels=96 * 64 - 1)) is ImageTooManyPixels, name


def test_webp_canvas_is_bounded_before_libwebp_allocates_it() -> None:
    canvas = (16383 - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
    with pytest.raises(ImageTooManyPixels):
        probe(b"RIFF" + struct.pack("<I", len(body)) + body, LIMITS)


def test_pillows_own_bomb_limit_does_not_compete(encode: Callable[..., bytes]) -> None:
    data = encode(Image.new("1", (10_000, 9_000)), "PNG")  # 90 megapixels: above Pillow's 89, below our 120
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(data, LIMITS).width == 10_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"just some words, renamed to photo.jpg\n", "a text file"),
        ("Grüße, ein längerer Text".encode(), "a text file"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>', "an SVG drawing"),
        (b"<svg onload='alert(1)'></svg>", "an SVG drawing"),
        (b'<?xml version="1.0"?><note/>', "an XML file"),
        (b'{"error": "not found"}', "a JSON file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41", "a video"),
        (b"\xff\x0a\x00\x10", "a JPEG XL image"),
        (b"BM is how this text begins", "a text file"),
        (b"\x00" * 50, "zero bytes"),
        (random.Random(3).randbytes(500), "random bytes"),
    ],
)
def test_other_files_are_named(data: bytes, words: str) -> None:
    assert looks_like(data) == words
    for read in READERS:
        with pytest.raises(ImageUnsupportedFormat, match=words):
            read(data, LIMITS)


def test_a_format_outside_the_allow_list_is_refused_although_pillow_reads_it(encode: Callable[..., bytes]) -> None:
    for name in ("PPM", "TGA", "ICO", "PCX", "EPS", "PDF"):
        with pytest.raises(ImageUnsupportedFormat):
            decode(encode(Image.new("RGB", (16, 16)), name), LIMITS)


def test_looks_like_never_raises() -> None:
    rng = random.Random(5)
    for _ in range(300):
        looks_like(rng.randbytes(rng.randrange(40)))
    assert looks_like(b"") == "nothing at all"
    assert looks_like(b"\xff\xd8\xff\xe0") == "a JPEG image"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.97])
def test_a_cut_file_is_truncated_never_grey(share: float, samples: dict[str, bytes]) -> None:
    for name, data in samples.items():
        if name == "gif-animated":
            continue  # its first frame is whole long before the end
        assert _error(decode, data[: int(len(data) * share)], LIMITS) is ImageTruncated, name


def test_a_gif_without_an_image_and_a_png_with_a_torn_header_are_damaged(samples: dict[str, bytes]) -> None:
    torn = samples["png"][:29] + b"\0\0\0\0" + samples["png"][33:]
    for data in (samples["gif"][:20], torn):
        for read in READERS:
            with pytest.raises(ImageTruncated):
                read(data, LIMITS)


def test_a_jpeg_or_png_without_its_last_byte_is_truncated(samples: dict[str, bytes]) -> None:
    for name in ("jpeg", "jpeg-progressive", "jpeg-grey", "jpeg-cmyk", "png", "webp", "avif", "heic"):
        with pytest.raises(ImageTruncated):
            decode(samples[name][:-1], LIMITS)


def test_a_flipped_bit_in_a_png_is_noticed(samples: dict[str, bytes]) -> None:
    data = bytearray(samples["png"])
    data[data.index(b"IDAT") + 40] ^= 1
    with pytest.raises(ImageTruncated, match="checksum"):
        decode(bytes(data), LIMITS)


def test_a_jpeg_of_a_thousand_scans_is_refused(samples: dict[str, bytes]) -> None:
    data = samples["jpeg-progressive"]
    last = data.rindex(b"\xff\xda")
    bomb = data[:last] + data[last:-2] * 1000 + data[-2:]
    with pytest.raises(ImageUnsupportedFormat, match="scans"):
        decode(bomb, LIMITS)


def test_float_tiff_is_refused_with_a_reason(encode: Callable[..., bytes]) -> None:
    with pytest.raises(ImageUnsupportedFormat, match="32-bit"):
        decode(encode(Image.new("F", (4, 4)), "TIFF"), LIMITS)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_mutation_raises_anything_else(samples: dict[str, bytes]) -> None:
    """50 seeded mutations of each kind: flips anywhere, flips in the header, cuts."""
    rng = random.Random(20240607)
    small = ImageLimits(max_pixels=10**6)
    refused = 0
    for data in samples.values():
        for _ in range(50):
            mutant = bytearray(data)
            reach = len(mutant) if rng.random() < 0.5 else min(len(mutant), 200)
            for _ in range(rng.choice((1, 1, 3, 20))):
                mutant[rng.randrange(reach)] = rng.randrange(256)
            if rng.random() < 0.2:
                del mutant[rng.randrange(1, len(mutant)) :]
            for read in READERS:
                error = _error(read, bytes(mutant), small)
                assert error in (None, *IMAGE_ERRORS)
                refused += error is not None
    assert refused > 300
