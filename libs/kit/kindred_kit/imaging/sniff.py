"""Recognise a file by its first bytes: the allow-list of formats, and words for everything else."""

from __future__ import annotations

import re

# The names follow file extensions. SVG, PDF, EPS, PSD and the like run code or need parsers nobody audits: never here.
MIME_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
}

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
# A BMP says only "BM"; the size of its second header (one of these) tells it from a text that begins so.
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio file"),
    (b"fLaC", "an audio file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"version https://git-lfs.github.com/", "a Git LFS pointer, not the file itself"),
)
_SAMPLE_BYTES = 4096


def image_format(data: bytes) -> str | None:
    """The key of `MIME_TYPES` that the first bytes announce, or None. Reads at most 4 KiB and never raises."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIF_BRANDS:
        return "heic"
    return None


def looks_like(data: bytes) -> str:
    """What the bytes seem to be, in words for an error message: "a text file", "random bytes". Never raises."""
    if not data:
        return "nothing at all"
    known = image_format(data)
    if known is not None:
        return f"{'an' if known == 'avif' else 'a'} {known.upper()} image"
    for prefix, words in _SIGNATURES:
        if data.startswith(prefix):
            return words
    if _brands(data):
        return "a video"
    if data[:4] == b"RIFF":
        return "an audio or video file"
    sample = data[:_SAMPLE_BYTES]
    if not sample.strip(b"\x00"):
        return "zero bytes"
    return _kind_of_text(sample) or "random bytes"


def _kind_of_text(sample: bytes) -> str | None:
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = sample.decode("utf-16", "ignore")
    else:
        # The sample may end inside a character, hence "ignore"; a file of other bytes shrinks and is no text.
        text = sample.decode("utf-8", "ignore")
        if len(text.encode()) < len(sample) - 3:
            return None
    if any(ord(char) < 32 and char not in "\t\n\r\f\x1b" for char in text):
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if re.search(r"<svg[\s>]", start) and start.startswith("<"):
        return "an SVG drawing"
    if re.match(r"<(!doctype html|html|head|body)\b", start):
        return "an HTML page"
    if start.startswith("<?xml"):
        return "an XML file"
    if start.startswith(("{", "[")):
        return "a JSON file"
    return "a text file"


def _brands(data: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, `ftyp`)."""
    if data[4:8] != b"ftyp":
        return frozenset()
    size = min(int.from_bytes(data[:4], "big"), len(data), _SAMPLE_BYTES)
    return frozenset(data[at : at + 4] for at in (8, *range(16, size - 3, 4)))
