"""Blob store on obstore: a local folder on a laptop, S3 in a cluster, through the same calls."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kindred_kit.errors import BlobNotFound, InvalidArgument, KindredError, Unavailable, storage_error
from kindred_kit.ports.blobs import BlobInfo

_PART_BYTES = 1 << 20
# the library would try for three minutes; whoever waits here has a deadline, and workers try again by themselves
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
_CLIENT: Any = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=30)}


class ObjectBlobStore:
    """BlobStore over any obstore store."""

    def __init__(self, store: Any, folder: Path | None = None) -> None:
        """`folder`: where a local store keeps its files, so that a file may be linked into it instead of copied."""
        self._store = store
        self._folder = folder

    @classmethod
    def local(cls, folder: Path) -> "ObjectBlobStore":
        """Objects as files below `folder`, which is made where it is missing. A put is a write and a rename."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder), folder)

    @classmethod
    def from_url(cls, url: str, **options: str) -> "ObjectBlobStore":
        """`file:///folder`, `s3://bucket/prefix`, `memory:///`. Raises InvalidArgument.

        `options` of S3: endpoint, region, access_key_id, secret_access_key. What is missing is looked for where AWS'
        own tools look: AWS_* variables, a role of the machine.
        """
        if url.startswith("file://"):
            return cls.local(Path(url.removeprefix("file://")))
        try:
            if not url.startswith("s3://"):
                return cls(from_url(url))
            client: Any = {**_CLIENT, "allow_http": options.get("endpoint", "").startswith("http://")}
            given: Any = {name: value for name, value in options.items() if value}
            return cls(from_url(url, config=given, client_options=client, retry_config=_RETRIES))
        except (BaseError, ValueError):  # its own words may hold the options
            raise InvalidArgument("not an object store's URL; there are file://folder and s3://bucket/prefix") from None

    async def put(self, key: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, checked_key(key), data)
        except (BaseError, OSError) as error:
            raise self._failed("keep", key, error) from error

    async def put_file(self, key: str, path: Path) -> None:
        checked_key(key)
        try:
            if self._folder is None or not await asyncio.to_thread(_link, path, self._folder / key):
                await obstore.put_async(self._store, key, path)
        except (BaseError, OSError) as error:
            raise self._failed("keep", key, error) from error

    async def get(self, key: str) -> bytes:
        try:
            result = await obstore.get_async(self._store, checked_key(key))
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            raise BlobNotFound(f"no object {key}") from None
        except (BaseError, OSError) as error:
            raise self._failed("read", key, error) from error

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and end <= start:
            return
        wanted = (start, end) if end is not None else {"offset": start}
        try:
            # without an offset the whole is asked for: a range of an empty object is an error
            options: Any = {"range": wanted} if start or end is not None else {}
            result = await obstore.get_async(self._store, checked_key(key), options=options)
            async for part in result.stream(min_chunk_size=_PART_BYTES):
                yield bytes(part)
        except FileNotFoundError:
            raise BlobNotFound(f"no object {key}") from None
        except (BaseError, OSError) as error:
            raise self._failed("read", key, error) from error

    async def head(self, key: str) -> BlobInfo | None:
        try:
            return _info(await obstore.head_async(self._store, checked_key(key)))
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._failed("look at", key, error) from error

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, checked_key(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._failed("delete", key, error) from error

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        try:
            async for batch in obstore.list(self._store, prefix=prefix or None):
                for meta in batch:
                    yield _info(meta)
        except (BaseError, OSError) as error:
            raise self._failed("list", prefix, error) from error

    async def aclose(self) -> None:
        return None

    def _failed(self, what: str, key: str, error: Exception) -> KindredError:
        if self._folder is None:  # the answer of a server may repeat what it was asked with
            return Unavailable(f"the object store could not {what} {key}: {type(error).__name__}")
        full = storage_error(error) if what == "keep" else None
        return full or Unavailable(f"the object store could not {what} {key}: {error}")


def _link(path: Path, target: Path) -> bool:
    """Give a file a second name, durably and in one step; False where the file systems do not allow it."""
    # a name that LocalStore takes for its own unfinished one, and lists nowhere
    beside = target.with_name(f"{target.name}#0")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside.unlink(missing_ok=True)
    try:
        os.link(path, beside)
    except OSError:
        return False
    _sync(beside)
    beside.replace(target)
    _sync(target.parent)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checked_key(key: str) -> str:
    """The key itself, or InvalidArgument: relative, no empty, `.` or `..` parts, printable ASCII."""
    parts = key.split("/")
    if not key.isascii() or not key.isprintable() or any(part in {"", ".", ".."} for part in parts):
        raise InvalidArgument(f"not an object key: {key!r}")
    return key


def _info(meta: Any) -> BlobInfo:
    return BlobInfo(meta["path"], meta["size"], int(meta["last_modified"].timestamp() * 1000))
