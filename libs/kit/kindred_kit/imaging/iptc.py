"""IPTC-IIM 4.2 in Photoshop image resources: enough to read who made a picture."""

from __future__ import annotations

from collections.abc import Mapping

_UTF8_ESCAPE = b"\x1b%G"
_CHARACTER_SET = (1, 90)


def read_iim(block: bytes) -> Mapping[tuple[int, int], tuple[str, ...]]:
    """(record, data set) -> its values, (2, 80) being By-line; stops at the first malformed data set, never raises."""
    raw: dict[tuple[int, int], list[bytes]] = {}
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        key = (block[at + 1], block[at + 2])
        size = int.from_bytes(block[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:  # an extended data set: the low bits count the bytes of the real length
            width = size & 0x7FFF
            if width > 8:
                break
            size = int.from_bytes(block[at : at + width], "big")
            at += width
        if at + size > len(block):
            break
        raw.setdefault(key, []).append(block[at : at + size])
        at += size
    is_utf8 = raw.get(_CHARACTER_SET, [b""])[0].startswith(_UTF8_ESCAPE)
    return {key: tuple(decode_text(value, force_utf8=is_utf8) for value in values) for key, values in raw.items()}


def decode_text(value: bytes, *, force_utf8: bool = False) -> str:
    """Bytes of an unknown encoding: UTF-8 if they are, else Windows-1252, which old tools wrote."""
    if force_utf8:
        return value.decode("utf-8", "replace")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")
