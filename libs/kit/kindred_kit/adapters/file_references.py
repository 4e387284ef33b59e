"""Photos that stay where they are: keys `file:///…` are read from the disk, never written; others go to a store."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kindred_kit.errors import ImageChanged, ImageMissing, InvalidArgument
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
        info = path.stat()
    except OSError:
        return False
    return (info.st_size, info.st_mtime_ns) == (byte_size, mtime_ns)


def read_regular(path: Path, max_bytes: int | None = None) -> bytes:
    """A regular file's bytes, the first `max_bytes` at most. OSError for all others: a pipe would block for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(-1 if max_bytes is None else max_bytes)


class FileReferences:
    """BlobStore that also reads `file://` keys. Originals are never changed: a delete forgets, a put is refused.

    `max_bytes`: no image larger than this was ever accepted, so that a file that is has changed.
    """

    def __init__(self, store: BlobStore, max_bytes: int | None = None) -> None:
        self._store = store
        self._max_bytes = max_bytes

    async def put(self, key: str, data: bytes) -> None:
        if is_reference(key):
            raise InvalidArgument("a referenced file is never written")
        await self._store.put(key, data)

    async def put_file(self, key: str, path: Path) -> None:
        if is_reference(key):
            raise InvalidArgument("a referenced file is never written")
        await self._store.put_file(key, path)

    async def get(self, key: str) -> bytes:
        """The bytes. Raises ImageMissing for a referenced file that is gone or may not be read, or ImageChanged."""
        path = referenced_path(key)
        if path is None:
            return await self._store.get(key)
        try:
            read = None if self._max_bytes is None else self._max_bytes + 1
            data = await asyncio.to_thread(read_regular, path, read)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise ImageMissing(f"the file can't be read where it was indexed: {reason}") from error
        if self._max_bytes is not None and len(data) > self._max_bytes:
            raise ImageChanged("the file is larger than what was indexed")
        return data

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if is_reference(key):  # an image: it fits into memory
            yield (await self.get(key))[start:end]
            return
        async for part in self._store.read(key, start, end):
            yield part

    async def head(self, key: str) -> BlobInfo | None:
        path = referenced_path(key)
        if path is None:
            return await self._store.head(key)
        try:
            info = await asyncio.to_thread(path.stat)
        except OSError:
            return None
        return BlobInfo(key, info.st_size, info.st_mtime_ns // 1_000_000)

    async def delete(self, key: str) -> None:
        if not is_reference(key):
            await self._store.delete(key)

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        return self._store.list(prefix)

    async def aclose(self) -> None:
        await self._store.aclose()
