"""Encoded image -> upright RGB pixels."""

from __future__ import annotations

import re

import numpy as np
import simplejpeg  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from PIL import Image, ImageFile

from kindred_kit.errors import ImageTooManyPixels, ImageTruncated, ImageUnsupportedFormat
from kindred_kit.imaging import png
from kindred_kit.imaging.header import Header, image_errors, is_cut, read_header
from kindred_kit.imaging.limits import ImageLimits

# libjpeg reports these as warnings although pixels are missing or wrong; a grey half of a photo must not be indexed.
_FATAL_JPEG = re.compile(r"premature end|corrupt jpeg data(?!: \d+ extraneous bytes)", re.IGNORECASE)
# Each progressive scan passes over the whole image, so a small file of many scans buys hours of CPU. Usual: ~10.
_MAX_JPEG_SCANS = 100
# DCT scaling is a box filter; measured, the embedding stays the same only with this margin over the model's input.
_DCT_MARGIN = 3
_STRIP_ROWS = 256


def decode(data: bytes, limits: ImageLimits, *, min_side_px: int | None = None) -> NDArray[np.uint8]:
    """Decode the first frame to upright RGB.

    Returns uint8 [height, width, 3], C-contiguous, EXIF orientation applied, alpha
    composited over white, 16 bits scaled to 8. Colour profiles are not applied, as in CLIP's and YOLO's own
    preprocessing. With `min_side_px` (the side, in pixels, that the image will be resized to) a JPEG may come back at
    1/2, 1/4 or 1/8 while its shorter side stays at least three times that; everything else comes at full size.

    Thread-safe, and releases the GIL while a codec works. Raises ImageEmpty, ImageTooLarge, ImageTooManyPixels,
    ImageUnsupportedFormat or ImageTruncated and nothing else; damage that still decodes (a flipped bit in a JPEG's
    coefficients, say) cannot be noticed in formats without checksums.
    """
    header = read_header(data, limits)
    if header.format == "jpeg":
        pixels = _decode_jpeg(data, header, limits, min_side_px)
    else:
        pixels = _decode_with_pillow(data, header)
    # Pillow's TIFF reader turns the pixels itself.
    if header.format != "tiff":
        pixels = orient(pixels, header.orientation)
    return np.ascontiguousarray(pixels)


def orient(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (1..8, CIPA DC-008 4.6.5) of uint8 [h, w, 3]; 5..8 swap the sides."""
    if orientation == 1:
        return pixels
    # A pixel moves as one 3-byte element, which is twice as fast as byte by byte.
    whole = np.ascontiguousarray(pixels).view("V3")[:, :, 0]
    if orientation >= 5:
        whole = whole.T
    if orientation in (3, 4, 7, 8):
        whole = whole[::-1]
    if orientation in (2, 3, 6, 7):
        whole = whole[:, ::-1]
    return np.ascontiguousarray(whole)[:, :, None].view(np.uint8)


def _decode_jpeg(data: bytes, header: Header, limits: ImageLimits, min_side_px: int | None) -> NDArray[np.uint8]:
    if data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise ImageUnsupportedFormat(f"the jpeg image has more than {_MAX_JPEG_SCANS} scans")
    if header.image.mode == "CMYK":
        return _decode_with_pillow(data, header)
    try:
        # libjpeg's own idea of the size is what it will allocate, and a crafted file can tell Pillow another.
        height, width = (int(side) for side in simplejpeg.decode_jpeg_header(data)[:2])
        limits.check_pixels(width, height)
        scale = _dct_scale(min(width, height), min_side_px)
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", min_height=-(-height // scale), min_width=-(-width // scale), strict=True
        )
    except (ValueError, KeyError) as error:
        if _FATAL_JPEG.search(str(error)):
            raise ImageTruncated(f"the jpeg image is damaged or cut short: {error}") from error
        # Harmless warnings (stray bytes before a marker, an odd JFIF version) and rare kinds: Pillow decides.
        return _decode_with_pillow(data, header)
    except MemoryError as error:
        raise ImageTooManyPixels("the jpeg image does not fit into memory") from error
    return pixels


def _dct_scale(short_side_px: int, min_side_px: int | None) -> int:
    if min_side_px is None:
        return 1
    return next((scale for scale in (8, 4, 2) if short_side_px // scale >= _DCT_MARGIN * min_side_px), 1)


def _decode_with_pillow(data: bytes, header: Header) -> NDArray[np.uint8]:
    if header.format == "png":
        png.check_complete(data)
    elif is_cut(header.format, data):
        raise ImageTruncated(f"the {header.format} image is cut short: bytes are missing at its end")
    with image_errors(header.format, data, decoding=True):
        # Pillow's TIFF reader would turn the pixels by XMP's orientation as well, which `probe` does not follow.
        header.image.info.pop("xmp", None)
        header.image.load()
        return _to_rgb(header.image)


def _to_rgb(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _grey16_to_rgb(image)
    if image.mode in ("I", "F"):
        raise ImageUnsupportedFormat("32-bit integer and floating-point images have no defined white")
    if not image.has_transparency_data:
        return _to_array(image if image.mode == "RGB" else image.convert("RGB"))
    with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(with_alpha, mask=with_alpha)
    return _to_array(canvas)


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    # Pillow exports an image as bytes, twice over at the peak; strip by strip the peak is the array itself.
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _grey16_to_rgb(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    # Pillow's own conversion clips at 255 and turns most of the picture white.
    grey16 = np.asarray(image).astype(np.uint32)
    grey = ((grey16 * 255 + 32767) // 65535).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[grey16 == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)
