"""Where an export goes: nothing is seen there before it is published."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class Published:
    """Size in bytes; `sha256` of the archive, empty for a folder."""

    byte_size: int
    sha256: str


class Destination(Protocol):
    """Files by relative path, one after another; they appear together with `publish`, or never.

    Blocking calls of one thread at a time. `scratch`: a folder beside what is written, gone with it.
    """

    scratch: Path

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The next file. Raises OSError."""
        ...

    async def publish(self) -> Published:
        """Raises OSError, Unavailable."""
        ...

    def discard(self) -> None:
        """Remove what was written and not published. Never raises."""
        ...
