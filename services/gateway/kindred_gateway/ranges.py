"""Range requests (RFC 9110, section 14) on one representation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kindred_gateway.problems import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class ByteRange:
    """Bytes `start` to `end` (exclusive) of `size`; `partial`: not asked for as a whole."""

    start: int
    end: int
    size: int
    partial: bool

    @property
    def headers(self) -> dict[str, str]:
        length = {"Content-Length": str(self.end - self.start), "Accept-Ranges": "bytes"}
        return {**length, "Content-Range": f"bytes {self.start}-{self.end - 1}/{self.size}"} if self.partial else length


def wanted_range(headers: Mapping[str, str], size: int, etag: str) -> ByteRange:
    """What a request asks for. Raises RangeNotSatisfiable.

    Several ranges, another unit or an If-Range of another version: the whole, as the standard allows.
    """
    whole = ByteRange(0, size, size, partial=False)
    match = _ONE_RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if match is None or headers.get("if-range", etag) != etag or match.group() == "bytes=-":
        return whole
    first, last = match.groups()
    if not first:  # the last n bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if last and first and int(last) < int(first):
        return whole  # not a range at all
    if start >= end:
        raise RangeNotSatisfiable(f"the archive has {size} bytes")
    return ByteRange(start, end, size, partial=True)
