"""Who made a picture and under which terms, as far as the file itself says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from PIL import Image, TiffImagePlugin

from kindred_kit.imaging import iptc, png
from kindred_kit.imaging.header import Header
from kindred_kit.imaging.xmp import CC, DC, PHOTOSHOP, XMP_RIGHTS, XmpPacket

MAX_TEXT_CHARS = 1000
_EXIF_ARTIST, _EXIF_COPYRIGHT = 0x013B, 0x8298
_IPTC_BY_LINE, _IPTC_CREDIT, _IPTC_COPYRIGHT = (2, 80), (2, 110), (2, 116)
_PHOTOSHOP_IPTC = 0x0404
_TIFF_IPTC = 33723
# Invisible characters that reorder or hide text: they could make a credit line read as another.
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# Openverse's names (openverse.org/license). `by-nd-nc` is how version 1.0 spelled by-nc-nd.
_CC_PATHS = {"by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd"}
_CC_ALIASES = {"by-nd-nc": "by-nc-nd"}


@dataclass(frozen=True)
class EmbeddedRights:
    """Claims found in the file, unverified: clean text of up to 1,000 characters, URLs http(s) only, None if absent."""

    creator: str | None = None
    credit: str | None = None
    copyright_notice: str | None = None
    license_url: str | None = None
    source_url: str | None = None


def read_rights(header: Header, data: bytes) -> EmbeddedRights:
    """Collect rights from XMP, IPTC-IIM and EXIF of an opened image; whatever is malformed counts as absent.

    XMP wins over IPTC and IPTC over EXIF: XMP is always Unicode and unbounded, an IPTC by-line ends after 32 bytes.
    """
    xmp = XmpPacket(_xmp_packet(header, data))
    iim = iptc.read_iim(_iptc_block(header))
    statement = _url(xmp.values(XMP_RIGHTS, "WebStatement"))
    license_url = _url(xmp.values(CC, "license"))
    if license_url is None and statement is not None and license_id_from_url(statement) != "unknown":
        # Creative Commons once recommended WebStatement for the licence itself, and many files follow that.
        license_url, statement = statement, None
    return EmbeddedRights(
        creator=_first(xmp.values(DC, "creator"), iim.get(_IPTC_BY_LINE, ()), _exif_texts(header.exif, _EXIF_ARTIST)),
        credit=_first(xmp.values(PHOTOSHOP, "Credit"), iim.get(_IPTC_CREDIT, ())),
        copyright_notice=_first(
            xmp.values(DC, "rights")[:1], iim.get(_IPTC_COPYRIGHT, ()), _exif_texts(header.exif, _EXIF_COPYRIGHT)
        ),
        license_url=license_url,
        source_url=statement,
    )


def license_id_from_url(url: str) -> str:
    """Openverse's name of a licence URL: cc0, pdm, by, by-sa, by-nc, by-nd, by-nc-sa, by-nc-nd, unsplash or unknown.

    Only the exact publishers' hosts count, so that a look-alike domain or a query string grants nothing. Never raises.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return "unknown"
    path = [part.lower() for part in parts.path.split("/") if part]
    if parts.scheme not in ("http", "https") or not path:
        return "unknown"
    if host == "unsplash.com" and path[0] == "license":
        return "unsplash"
    if host == "creativecommons.org" and len(path) >= 2:
        if path[0] == "publicdomain":
            return {"zero": "cc0", "mark": "pdm"}.get(path[1], "unknown")
        name = _CC_ALIASES.get(path[1], path[1])
        if path[0] == "licenses" and name in _CC_PATHS:
            return name
    return "unknown"


def clean_text(text: str, max_chars: int = MAX_TEXT_CHARS) -> str | None:
    """Drop control and hidden characters, fold white space, cut to `max_chars`; None if nothing is left."""
    text = _HIDDEN.sub("", text[: 4 * max_chars])
    text = "".join(" " if char in "\t\n\r\x0b\x0c" else char for char in text)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs", "Cn"))
    return " ".join(text.split())[:max_chars].strip() or None


def _first(*sources: Iterable[str]) -> str | None:
    """The first source that says anything; several values (co-authors) become one line."""
    for values in sources:
        text = clean_text("; ".join(value.strip() for value in values if value.strip()))
        if text:
            return text
    return None


def _url(values: Iterable[str]) -> str | None:
    for value in values:
        text = clean_text(value)
        # Anything but http(s) could be script when a page shows it as a link.
        if text and re.match(r"https?://[^\s<>\"']+$", text, re.IGNORECASE):
            return text
    return None


def _exif_texts(exif: Image.Exif, tag: int) -> tuple[str, ...]:
    try:
        value = exif.get(tag)
    except Exception:  # Pillow parses a tag when it is read
        return ()
    if isinstance(value, str):
        # Pillow decodes ASCII tags as Latin-1, whereas cameras and tools write UTF-8.
        with suppress(UnicodeEncodeError):
            value = iptc.decode_text(value.encode("latin-1"))
    elif isinstance(value, bytes):
        value = iptc.decode_text(value)
    else:
        return ()
    # NUL separates the photographer's from the editor's copyright (CIPA DC-008, tag 33432).
    return tuple(value.split("\x00"))


def _xmp_packet(header: Header, data: bytes) -> bytes:
    if header.format == "png":
        return png.texts(data).get(png.XMP_KEYWORD, "").encode()
    packet = header.image.info.get("xmp")
    return packet if isinstance(packet, bytes) else b""


def _iptc_block(header: Header) -> bytes:
    image = header.image
    block: object = None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        try:
            block = image.tag_v2.get(_TIFF_IPTC)
        except Exception:  # as above
            return b""
    elif isinstance(resources := image.info.get("photoshop"), dict):
        block = resources.get(_PHOTOSHOP_IPTC)
    return block if isinstance(block, bytes) else b""
