"""One image of a source: what is said of it, and how its bytes are had."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote, urlsplit

from kindred_kit.errors import KindredError, Status
from kindred_kit.imaging.rights import clean_text
from kindred_standalone.text import printable

RIGHTS = ("license", "license_url", "creator", "credit", "source_url", "attribution")
GENERATED = ("model", "prompt", "negative_prompt", "sampler", "seed", "steps", "guidance")
FIELDS = ("caption", "source", "origin", "visibility", *RIGHTS, *GENERATED)
"""What a source may say of an image: fields of POST /v1/images, all texts."""

Load = Callable[[], Awaitable[bytes]]


class SourceInvalid(KindredError):
    """A source that is not what it should be: nothing of it, or nothing more, can be read."""

    code = "source_invalid"
    status = Status.UNPROCESSABLE


@dataclass(frozen=True)
class Item:
    """`place` is for a report, `identity` stays the same as long as image and words about it do.

    `load` raises KindredError with the reason why there are no bytes.
    """

    place: str
    identity: str
    fields: Mapping[str, str]
    file_name: str
    load: Load


class Source(Protocol):
    """Items in an order of its own, read from a disk or a network by the thread that asks. Raises SourceInvalid."""

    def items(self) -> Iterator[Item]: ...


def identity_of(*parts: str, fields: Mapping[str, str]) -> str:
    """The SHA-256 of all that makes an item."""
    said = [f"{name}={fields[name]}" for name in sorted(fields)]
    return hashlib.sha256("\x00".join((*parts, *said)).encode("utf-8", "surrogatepass")).hexdigest()


def name_of(place: str) -> str:
    """The last part of a URL, path or key, for display."""
    try:
        path = urlsplit(place).path if "://" in place else place
    except ValueError:
        path = place
    return printable(clean_text(unquote(path).replace("\\", "/").rpartition("/")[2]) or "")[:255]


def failing(error: KindredError) -> Load:
    """Of an item that has no bytes."""

    async def load() -> bytes:
        raise error

    return load
