"""Object store port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class BlobInfo:
    """A stored object: its key, its size in bytes, its time of change (Unix milliseconds)."""

    key: str
    size_bytes: int
    modified_ms: int


class BlobStore(Protocol):
    """Bytes by key. Keys are relative, slash-separated, without `..`; a put is atomic and overwrites."""

    async def put(self, key: str, data: bytes) -> None:
        """Store durably: when this returns, a crash of this process or host loses nothing. Raises StorageFull."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """Store what a file holds, as `put`, without reading all of it into memory. Raises StorageFull, Unavailable.

        The file must not be written to afterwards: a store on the same disk may take it as it is.
        """
        ...

    async def get(self, key: str) -> bytes:
        """The bytes. Raises BlobNotFound, Unavailable."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive; None: the last one), in parts. Raises as `get`, at the first part."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """Size and time, or None where there is no such object."""
        ...

    async def delete(self, key: str) -> None:
        """Remove; nothing happens where there is no such object."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """All objects whose key starts with the folder `prefix`."""
        ...

    async def aclose(self) -> None: ...
