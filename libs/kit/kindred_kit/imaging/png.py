"""Walk the chunks of a PNG without decoding it (W3C PNG, third edition, sections 5 and 11).

Pillow reads text and EXIF chunks that follow the pixels only by decoding them, and it skips the checksum of the pixel
data; this walk does both for the price of a few slices.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from kindred_kit.errors import ImageTruncated

XMP_KEYWORD = "XML:com.adobe.xmp"
# A ComfyUI workflow is 10-200 KB of JSON and useless when cut; prompts are far smaller.
MAX_TEXT_BYTES = 256 * 1024
MAX_TEXTS = 32
MAX_TOTAL_TEXT_BYTES = 1024 * 1024
_FIRST_CHUNK = 8


@dataclass(frozen=True)
class Chunk:
    """A chunk's four-letter kind and the place of its body in the file."""

    kind: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """Every whole chunk of the file, in order; stops silently where the file is cut."""
    at = _FIRST_CHUNK
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        chunk = Chunk(data[at + 4 : at + 8], at + 8, end)
        yield chunk
        if chunk.kind == b"IEND":
            return
        at = end + 4


def check_complete(data: bytes) -> None:
    """Raise `ImageTruncated` unless the file reaches IEND and every critical chunk has its checksum."""
    kind = b""
    view = memoryview(data)
    for chunk in chunks(data):
        kind = chunk.kind
        # An upper-case first letter marks a critical chunk; broken metadata is no reason to refuse the pixels.
        if kind[:1].isupper():
            checksum = zlib.crc32(view[chunk.start - 4 : chunk.end])
            if checksum != int.from_bytes(view[chunk.end : chunk.end + 4], "big"):
                raise ImageTruncated(f"the PNG is damaged: its {kind.decode('latin-1')} chunk has a wrong checksum")
    if kind != b"IEND":
        raise ImageTruncated("the PNG is cut short: its end marker is missing")


def exif(data: bytes) -> bytes | None:
    """The body of the eXIf chunk, wherever it stands."""
    for chunk in chunks(data):
        if chunk.kind == b"eXIf":
            return data[chunk.start : chunk.end]
    return None


def texts(data: bytes) -> dict[str, str]:
    """Keyword -> text of the tEXt, zTXt and iTXt chunks, bounded in number and size; the first of a keyword wins."""
    found: dict[str, str] = {}
    budget = MAX_TOTAL_TEXT_BYTES
    for chunk in chunks(data):
        if chunk.kind not in (b"tEXt", b"zTXt", b"iTXt") or len(found) >= MAX_TEXTS or budget <= 0:
            continue
        keyword, separator, body = data[chunk.start : chunk.end].partition(b"\x00")
        name = keyword.decode("latin-1")
        if not separator or not 0 < len(name) < 80 or name in found:
            continue
        limit = min(MAX_TEXT_BYTES, budget)
        raw = _text_bytes(chunk.kind, body, limit)
        if raw is not None:
            budget -= len(raw)
            # NUL is dropped because PostgreSQL refuses it in text.
            found[name] = _decode(raw, is_cut=len(raw) >= limit).replace("\x00", "")
    return found


def _text_bytes(kind: bytes, body: bytes, limit: int) -> bytes | None:
    if kind == b"tEXt":
        return body[:limit]
    if kind == b"zTXt":
        return _inflate(body[1:], limit)
    compressed = body[:1] == b"\x01"
    # iTXt: compression flag, method, language NUL, translated keyword NUL, text
    parts = body[2:].split(b"\x00", 2)
    if len(parts) < 3:
        return None
    return _inflate(parts[2], limit) if compressed else parts[2][:limit]


def _inflate(body: bytes, limit: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(body, limit)
    except zlib.error:
        return None


def _decode(raw: bytes, *, is_cut: bool) -> str:
    # tEXt is Latin-1 by the standard, yet generators write UTF-8 into it. Our cut may leave half a character.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_cut and error.start >= len(raw) - 3:
            return raw[: error.start].decode("utf-8")
        return raw.decode("latin-1")
