"""Image files as every reader can use them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simplejpeg  # type: ignore[import-untyped,unused-ignore]

from kindred_datasets.export.formats import Form
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.imaging.header import Header, read_header

# Boxes are those of the upright image, and not all readers turn it: PIL leaves the pixels as they are, OpenCV does not.
_UPRIGHT = 1
_PLAIN_MODES = {"jpeg": {"RGB", "L"}, "png": {"RGB", "L", "P"}}
_KEPT: dict[Form, frozenset[str]] = {
    "coco": frozenset({"jpeg", "png"}),
    "yolo": frozenset({"jpeg", "png"}),
    "voc": frozenset({"jpeg"}),  # its devkit and torchvision look for .jpg alone
}
_SUFFIXES = {"jpeg": ".jpg", "png": ".png"}
_QUALITY = 95
_PIXEL_BYTES = 3


@dataclass(frozen=True)
class ImageFile:
    """`changed`: why these are not the bytes that came in, or empty."""

    data: bytes
    suffix: str
    changed: str = ""


def readable(data: bytes, form: Form) -> ImageFile:
    """A plain, upright JPEG or PNG (not in VOC) as it is; all others as JPEG, over white where they are transparent.

    Raises ImageError where the image can't be read.
    """
    header = read_header(data, ImageLimits())
    reason = _why_not(header, form)
    if not reason:
        return ImageFile(data, _SUFFIXES[header.format])
    pixels = np.ascontiguousarray(decode(data, ImageLimits()))
    return ImageFile(simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB", "444"), ".jpg", reason)


def suffix_of(image_format: str) -> str:
    """Of a file that stays as it is."""
    return _SUFFIXES.get(image_format, f".{image_format}")


def memory_bytes(byte_size: int, width: int, height: int) -> int:
    """How much `readable` may hold: the bytes, and the pixels if it has to decode them."""
    return byte_size + _PIXEL_BYTES * width * height


def _why_not(header: Header, form: Form) -> str:
    if header.format not in _KEPT[form]:
        return f"was {header.format}, which not every reader knows"
    if header.orientation != _UPRIGHT:
        return "was turned upright, as its boxes are"
    if header.image.mode not in _PLAIN_MODES[header.format] or header.image.has_transparency_data:
        return f"was {header.format} with other than 8-bit opaque colours"
    return ""
