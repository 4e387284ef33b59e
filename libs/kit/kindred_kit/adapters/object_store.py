"""Blob store on obstore: a local folder on a laptop, S3 in a cluster, through the same calls."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kindred_kit.errors import BlobNotFound, InvalidArgument, Unavailable, storage_error
from kindred_kit.ports.blobs import BlobInfo


class ObjectBlobStore:
    """BlobStore over any obstore store."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def local(cls, folder: Path) -> "ObjectBlobStore":
        """Objects as files below `folder`, which is made where it is missing. A put is a write and a rename."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder))

    @classmethod
    def from_url(cls, url: str) -> "ObjectBlobStore":
        """`file:///folder`, `s3://bucket/prefix`, `memory:///` …; credentials come from the environment."""
        if url.startswith("file://"):
            return cls.local(Path(url.removeprefix("file://")))
        return cls(from_url(url))

    async def put(self, key: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, checked_key(key), data)
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store could not keep {key}: {error}") from error

    async def put_file(self, key: str, path: Path) -> None:
        try:
            await obstore.put_async(self._store, checked_key(key), path)
        except (BaseError, OSError) as error:
            raise storage_error(error) or Unavailable(f"the object store could not keep {key}: {error}") from error

    async def get(self, key: str) -> bytes:
        try:
            result = await obstore.get_async(self._store, checked_key(key))
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            raise BlobNotFound(f"no object {key}") from None
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store could not read {key}: {error}") from error

    async def head(self, key: str) -> BlobInfo | None:
        try:
            return _info(await obstore.head_async(self._store, checked_key(key)))
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store could not look at {key}: {error}") from error

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, checked_key(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store could not delete {key}: {error}") from error

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        try:
            async for batch in obstore.list(self._store, prefix=prefix or None):
                for meta in batch:
                    yield _info(meta)
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store could not list {prefix}: {error}") from error

    async def aclose(self) -> None:
        return None


def checked_key(key: str) -> str:
    """The key itself, or InvalidArgument: relative, no empty, `.` or `..` parts, printable ASCII."""
    parts = key.split("/")
    if not key.isascii() or not key.isprintable() or any(part in {"", ".", ".."} for part in parts):
        raise InvalidArgument(f"not an object key: {key!r}")
    return key


def _info(meta: Any) -> BlobInfo:
    return BlobInfo(meta["path"], meta["size"], int(meta["last_modified"].timestamp() * 1000))
