"""EXIF texts in which generators of JPEG and WebP files write what PNG files hold in text chunks (CIPA DC-008)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from PIL import Image

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_IMAGE_DESCRIPTION, _MAKE = 0x010E, 0x010F
MAX_BYTES = 512 * 1024


def user_comment(exif: Image.Exif) -> str:
    """The user comment; empty where there is none or it cannot be read."""
    try:
        value = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    except Exception:  # the sub-directory is parsed here, and is anybody's bytes
        return ""
    return decode_comment(value)


def labelled_texts(exif: Image.Exif) -> dict[str, str]:
    """ComfyUI's WebP files: texts such as `prompt:{…}` and `workflow:{…}` in tags that are meant for other things."""
    found: dict[str, str] = {}
    for tag in (_MAKE, _IMAGE_DESCRIPTION):
        value = None
        with suppress(Exception):  # as above
            value = exif.get(tag)
        name, separator, text = value[:MAX_BYTES].partition(":") if isinstance(value, str) else ("", "", "")
        if separator and name.lower() in {"prompt", "workflow"}:
            found[name.lower()] = text.rstrip("\x00")
    return found


def decode_comment(value: Any) -> str:
    """Eight bytes name the encoding. UNICODE is UTF-16 in whichever order of bytes the writer liked."""
    if isinstance(value, str):
        return value[:MAX_BYTES].strip("\x00 ")
    if not isinstance(value, bytes) or len(value) <= 8:
        return ""
    code, body = value[:8], value[8:MAX_BYTES]
    if code == b"UNICODE\x00":
        return _utf16(body).strip("\x00\ufeff ")
    if code in {b"ASCII\x00\x00\x00", b"\x00" * 8}:
        return body.decode("utf-8", "replace").strip("\x00 ")
    return ""


def _utf16(body: bytes) -> str:
    if body[:2] in {b"\xfe\xff", b"\xff\xfe"}:
        return body.decode("utf-16", "replace")
    # most characters of a prompt are ASCII: the zeros tell where the high byte is
    high_first, high_last = body[0::2].count(0), body[1::2].count(0)
    return body.decode("utf-16-be" if high_first >= high_last else "utf-16-le", "replace")
