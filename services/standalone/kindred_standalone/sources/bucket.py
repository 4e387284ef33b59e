"""All images below a prefix of an object store: s3://bucket/prefix, gs://, az://, file:///folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from kindred_kit.errors import ImageDownloadFailed, ImageEmpty, ImageTooLarge
from kindred_kit.imaging import ImageLimits
from kindred_standalone.scan import IMAGE_SUFFIXES
from kindred_standalone.sources.item import Item, SourceInvalid, identity_of, name_of
from kindred_standalone.text import printable

SCHEMES = ("s3://", "gs://", "az://", "file://")
_SUFFIXES = tuple(suffix.decode() for suffix in IMAGE_SUFFIXES)


class Bucket:
    """Credentials and endpoint come from the environment (AWS_…), as for every tool."""

    def __init__(self, url: str, limits: ImageLimits) -> None:
        """Raises SourceInvalid."""
        self._url = url.rstrip("/")
        self._limits = limits
        try:
            self._store: Any = from_url(url)
        except (BaseError, ValueError, OSError) as error:
            raise SourceInvalid(f"{printable(url)} is no object store that can be opened: {_words(error)}") from error

    def items(self) -> Iterator[Item]:
        try:
            for batch in obstore.list(self._store):
                for meta in batch:
                    if meta["path"].lower().endswith(_SUFFIXES):
                        yield self._item(meta)
        except (BaseError, OSError) as error:
            raise SourceInvalid(f"{printable(self._url)} can't be listed: {_words(error)}") from error

    def _item(self, meta: Any) -> Item:
        key = meta["path"]
        version = f"{meta['e_tag'] or meta['last_modified'].isoformat()}/{meta['size']}"
        identity = identity_of("object", self._url, key, version, fields={})
        return Item(printable(f"{self._url}/{key}"), identity, {}, name_of(key), partial(self._get, key, meta["size"]))

    async def _get(self, key: str, size: int) -> bytes:
        """Raises ImageEmpty, ImageTooLarge (without reading), ImageDownloadFailed. The client tries again by itself."""
        if size == 0:
            raise ImageEmpty("the object is empty")
        if size > self._limits.max_bytes:
            raise ImageTooLarge(f"the object has {size:,} bytes, more than the {self._limits.max_bytes:,} allowed")
        try:
            async with asyncio.timeout(300):
                return bytes(await (await obstore.get_async(self._store, key)).bytes_async())
        except (BaseError, OSError) as error:  # a timeout is an OSError
            raise ImageDownloadFailed(f"the object can't be read: {_words(error)}") from error


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
