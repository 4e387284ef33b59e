"""Open an image's header through Pillow's own readers, one named reader per allowed format, with our errors only."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from pillow_heif import HeifImageFile

from kindred_kit.errors import ImageTooManyPixels, ImageTruncated, ImageUnsupportedFormat, KindredError
from kindred_kit.imaging import png
from kindred_kit.imaging.limits import ImageLimits
from kindred_kit.imaging.sniff import image_format, looks_like

_Reader = Callable[[io.BytesIO], ImageFile.ImageFile]

# The readers are called directly, not through Image.open: nothing outside this table can ever be tried, and Pillow's
# process-wide MAX_IMAGE_PIXELS (89 megapixels) does not compete with `ImageLimits`.
_READERS: dict[str, _Reader] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "heic": cast(_Reader, HeifImageFile),
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}
_EXIF_ORIENTATION = 0x0112
_CUT_SHORT = (
    "truncat",
    "premature",
    "end of file",
    "end of data",
    "unexpected end",
    "eof",
    "not enough",
    "too short",
    "no more images",
    "broken png",
)


@dataclass(frozen=True)
class Header:
    """An image whose header was read and whose pixels were not.

    `image` is Pillow's lazy image; width and height are in pixels and after EXIF orientation; `orientation` is 1..8.
    """

    format: str
    image: ImageFile.ImageFile
    exif: Image.Exif
    orientation: int
    width: int
    height: int


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Recognise, bound and open `data`.

    Raises ImageEmpty, ImageTooLarge, ImageTooManyPixels, ImageUnsupportedFormat or ImageTruncated, and nothing else.
    """
    limits.check_bytes(data)
    name = image_format(data)
    if name is None:
        raise ImageUnsupportedFormat(f"not an image that Kindred reads: the file looks like {looks_like(data)}")
    if name == "webp":
        # libwebp allocates two canvases as soon as the file is opened, so the size is checked before that.
        limits.check_pixels(*_webp_size(data))
    with image_errors(name, data):
        image = _READERS[name](io.BytesIO(data))
    width, height = image.size
    if width <= 0 or height <= 0:
        raise ImageUnsupportedFormat(f"the {name} image is {width} x {height}: it has no pixels")
    limits.check_pixels(width, height)
    exif = _read_exif(name, image, data)
    orientation = _orientation(name, image, exif)
    # Pillow swaps a TIFF's sides itself and libheif has already turned a HEIC upright.
    if orientation >= 5 and name != "tiff":
        width, height = height, width
    return Header(name, image, exif, orientation, width, height)


@contextmanager
def image_errors(name: str, data: bytes, *, decoding: bool = False) -> Iterator[None]:
    """Turn whatever a decoder raises into one of our image errors.

    A failure while pixels are decoded is ImageTruncated (the header promised an image that the bytes do not hold); one
    in the header is ImageTruncated if the file is evidently cut and ImageUnsupportedFormat otherwise.
    """
    try:
        yield
    except KindredError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooManyPixels(f"the {name} image is a decompression bomb: {error}") from error
    except MemoryError as error:
        raise ImageTooManyPixels(f"the {name} image does not fit into memory") from error
    except Exception as error:  # decoders raise struct.error, SyntaxError, KeyError, zlib.error, RuntimeError ...
        words = str(error) or type(error).__name__
        if decoding or is_cut(name, data) or any(hint in words.lower() for hint in _CUT_SHORT):
            raise ImageTruncated(f"the {name} image is damaged or cut short: {words}") from error
        raise ImageUnsupportedFormat(f"the {name} image cannot be read: {words}") from error


def is_cut(name: str, data: bytes) -> bool:
    """Whether the container itself says that bytes are missing at the end. False where a format cannot tell."""
    if name == "webp":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if name in ("heic", "avif"):
        at = 0
        while at + 8 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if size == 1:  # a 64-bit size follows the box type
                size = int.from_bytes(data[at + 8 : at + 16], "big")
            if size == 0:  # the last box reaches to the end, whatever that is
                return False
            at += max(size, 8)
        return at > len(data)
    if name == "tiff":
        # Writers often put the directory behind the pixels, so a cut file points beyond its end.
        order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        is_big = int.from_bytes(data[2:4], order) == 43
        return int.from_bytes(data[8:16] if is_big else data[4:8], order) >= len(data)
    return False


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas width and height (RFC 9649, sections 2.5 to 2.7), or (0, 0) for the reader to complain about."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _read_exif(name: str, image: ImageFile.ImageFile, data: bytes) -> Image.Exif:
    """The EXIF block, empty where there is none or it is malformed: metadata never decides whether an image is one."""
    exif = Image.Exif()
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            return image.getexif()
        raw = png.exif(data) if name == "png" else image.info.get("exif")
        if isinstance(raw, bytes) and raw:
            exif.load(raw)
    except Exception:  # Pillow's TIFF parser raises as many kinds as there are ways to be malformed
        return Image.Exif()
    return exif


def _orientation(name: str, image: ImageFile.ImageFile, exif: Image.Exif) -> int:
    # Only EXIF counts, as in browsers; Pillow would also look for tiff:Orientation in XMP.
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else exif
    try:
        value = tags.get(_EXIF_ORIENTATION)
    except Exception:  # a tag is parsed when it is read
        return 1
    if name == "heic":
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
