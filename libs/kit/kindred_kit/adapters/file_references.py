"""Photos that stay where they are: keys `file:///…` are read from the disk, never written; others go to a store."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kindred_kit.errors import ImageMissing, InvalidArgument
from kindred_kit.ports.blobs import BlobInfo, BlobStore

PREFIX = "file://"


def reference_key(path: Path) -> str:
    """Blob key of an absolute path; names that are not UTF-8 survive, since the path's bytes are percent-encoded."""
    if not path.is_absolute():
        raise InvalidArgument(f"a reference needs an absolute path: {path}")
    return PREFIX + quote_from_bytes(os.fsencode(path))


def is_reference(key: str) -> bool:
    """Whether the key stands for a file of the user's, which is read and never written or deleted."""
    return key.startswith(PREFIX)


def referenced_path(key: str) -> Path | None:
    """The path of a reference, or None for the key of a stored object."""
    if not is_reference(key):
        return None
    return Path(os.fsdecode(unquote_to_bytes(key.removeprefix(PREFIX))))


def still_holds(key: str, byte_size: int, mtime_ns: int) -> bool:
    """Whether a referenced file is what it was, by its size and time. A stored object always is."""
    path = referenced_path(key)
    if path is None:
        return True
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (byte_size, mtime_ns)


class FileReferences:
    """BlobStore that also reads `file://` keys. Originals are never changed: a delete forgets, a put is refused."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def put(self, key: str, data: bytes) -> None:
        if is_reference(key):
            raise InvalidArgument("a referenced file is never written")
        await self._store.put(key, data)

    async def get(self, key: str) -> bytes:
        """The bytes. Raises ImageMissing for a referenced file that is gone or may not be read."""
        path = referenced_path(key)
        if path is None:
            return await self._store.get(key)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise ImageMissing(f"the file can't be read where it was indexed: {error.strerror}") from error

    async def head(self, key: str) -> BlobInfo | None:
        path = referenced_path(key)
        if path is None:
            return await self._store.head(key)
        try:
            stat = await asyncio.to_thread(path.stat)
        except OSError:
            return None
        return BlobInfo(key, stat.st_size, stat.st_mtime_ns // 1_000_000)

    async def delete(self, key: str) -> None:
        if not is_reference(key):
            await self._store.delete(key)

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        return self._store.list(prefix)

    async def aclose(self) -> None:
        await self._store.aclose()
