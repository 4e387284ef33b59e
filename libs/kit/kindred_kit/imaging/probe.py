"""What a file says about its image, without decoding a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from kindred_kit.imaging import png
from kindred_kit.imaging.generation import Generation, read_generation
from kindred_kit.imaging.header import read_header
from kindred_kit.imaging.limits import ImageLimits
from kindred_kit.imaging.rights import EmbeddedRights, read_rights
from kindred_kit.imaging.sniff import MIME_TYPES

_EXIF_IFD, _DATE_TIME_ORIGINAL, _OFFSET_TIME_ORIGINAL = 0x8769, 0x9003, 0x9011


@dataclass(frozen=True)
class ImageInfo:
    """An image's header.

    `format` is jpeg, png, webp, gif, heic, avif, bmp or tiff; `width` and `height` are pixels after EXIF orientation;
    `orientation` is the EXIF value 1..8 (1 for HEIC, whose container turns the image); `generation_text` holds a PNG's
    raw text chunks by keyword (prompt, workflow ...; bounded), `generation` what a generator says there or in EXIF;
    `taken_at` is ISO 8601, with an offset only if the camera wrote one.
    """

    format: str
    mime: str
    width: int
    height: int
    orientation: int
    rights: EmbeddedRights
    generation_text: dict[str, str]
    generation: Generation | None
    taken_at: str | None


def probe(data: bytes, limits: ImageLimits) -> ImageInfo:
    """Read the header of an encoded image; a file cut after its header still probes.

    Raises ImageEmpty, ImageTooLarge, ImageTooManyPixels, ImageUnsupportedFormat (saying what the bytes look like) or
    ImageTruncated, and nothing else. Malformed metadata is left out, never raised.
    """
    header = read_header(data, limits)
    texts = png.texts(data) if header.format == "png" else {}
    texts.pop(png.XMP_KEYWORD, None)
    return ImageInfo(
        format=header.format,
        mime=MIME_TYPES[header.format],
        width=header.width,
        height=header.height,
        orientation=header.orientation,
        rights=read_rights(header, data),
        generation_text=texts,
        generation=read_generation(texts, header.exif),
        taken_at=_taken_at(header.exif),
    )


def _taken_at(exif: Image.Exif) -> str | None:
    try:
        camera = exif.get_ifd(_EXIF_IFD)
        taken = datetime.strptime(str(camera.get(_DATE_TIME_ORIGINAL, "")).strip("\x00 "), "%Y:%m:%d %H:%M:%S")
    except Exception:  # the sub-directory is parsed here, and cameras write "0000:00:00 00:00:00"
        return None
    try:
        offset = str(camera.get(_OFFSET_TIME_ORIGINAL, "")).strip("\x00 ")
        return datetime.strptime(f"{taken:%Y-%m-%dT%H:%M:%S}{offset}", "%Y-%m-%dT%H:%M:%S%z").isoformat()
    except ValueError:
        return taken.isoformat()
