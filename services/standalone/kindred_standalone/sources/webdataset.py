"""WebDataset tars: members of one name are one sample, such as 000.jpg, 000.json, 000.txt.

Nothing is unpacked: a member is read where it lies in the file. Only regular members count, and their sizes are looked
at before anything is read; names are names, never paths.
"""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from kindred_kit.errors import ImageEmpty, ImageTooLarge, ImageTruncated
from kindred_kit.imaging import ImageLimits
from kindred_standalone.scan import IMAGE_SUFFIXES
from kindred_standalone.sources.fields import columns_of, said
from kindred_standalone.sources.item import Item, SourceInvalid, identity_of, name_of
from kindred_standalone.text import printable

_IMAGES = frozenset(suffix.decode().removeprefix(".") for suffix in IMAGE_SUFFIXES)
_TEXTS = ("txt", "text", "caption")
_MAX_JSON_BYTES, _MAX_TEXT_BYTES = 1_000_000, 64_000
_MAX_MEMBERS = 100
_MAX_HEADER_BYTES = 1_000_000
"""Of one read of tarfile's: long names and PAX records, whose size a stranger says."""


class WebDataset:
    def __init__(self, path: Path, limits: ImageLimits) -> None:
        self._path = path
        self._limits = limits

    def items(self) -> Iterator[Item]:
        with self._path.open("rb") as raw:
            try:
                # uncompressed alone: what unfolds has no bounds, and cannot be read from the middle
                with tarfile.open(fileobj=_Bounded(raw), mode="r:") as tar:
                    for members in _samples(tar):
                        yield from self._sample(members)
            except (tarfile.TarError, ValueError, OverflowError, OSError) as error:
                raise SourceInvalid(
                    f"{printable(self._path.name)} can't be read as an uncompressed tar: {error}"
                ) from error

    def _sample(self, members: list[tarfile.TarInfo]) -> Iterator[Item]:
        fields = self._fields(members)
        version = self._path.stat()
        for member in members:
            if _split(member.name)[1].rpartition(".")[2] in _IMAGES:
                place = f"{printable(self._path.name)}: {printable(member.name)}"
                parts = (
                    str(self._path.resolve()),
                    str(version.st_size),
                    str(version.st_mtime_ns),
                    str(member.offset_data),
                )
                load = partial(asyncio.to_thread, self._read, member.offset_data, member.size)
                yield Item(place, identity_of("tar", *parts, fields=fields), fields, name_of(member.name), load)

    def _fields(self, members: list[tarfile.TarInfo]) -> dict[str, str]:
        """What the sample's sidecars say; broken or too large ones say nothing."""
        row: dict[str, Any] = {}
        for member in members:
            suffix = _split(member.name)[1]
            if suffix == "json" and member.size <= _MAX_JSON_BYTES:
                row = _json(self._piece(member.offset_data, member.size)) | row
            elif suffix in _TEXTS and member.size <= _MAX_TEXT_BYTES:
                row["caption"] = self._piece(member.offset_data, member.size).decode("utf-8", "replace")
        return said(row, columns_of([name for name in row if isinstance(name, str)], {}))

    def _read(self, offset: int, size: int) -> bytes:
        """Raises ImageEmpty, ImageTooLarge (without reading), ImageTruncated."""
        if size == 0:
            raise ImageEmpty("the member is empty")
        if size > self._limits.max_bytes:
            raise ImageTooLarge(f"the member has {size:,} bytes, more than the {self._limits.max_bytes:,} allowed")
        data = self._piece(offset, size)
        if len(data) < size:
            raise ImageTruncated("the tar ends within this member")
        return data

    def _piece(self, offset: int, size: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(size)


class _Bounded(io.RawIOBase):
    """A file that is not read in large pieces, whatever a header says of sizes."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of this size is none")
        data: bytes = self._file.read(size)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def _regular(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
        if member.isreg() and not member.issparse():
            yield member


def _samples(tar: tarfile.TarFile) -> Iterator[list[tarfile.TarInfo]]:
    """Neighbours of one name, also the last ones before the tar breaks off. What has more members has no more."""
    key, members = "", list[tarfile.TarInfo]()
    try:
        for member in _regular(tar):
            if _split(member.name)[0] != key:
                yield members
                key, members = _split(member.name)[0], []
            if len(members) < _MAX_MEMBERS:
                members.append(member)
    except tarfile.TarError:
        yield members
        raise
    yield members


def _split(name: str) -> tuple[str, str]:
    """`a/000.seg.png` -> `a/000` and `seg.png`, as WebDataset has it."""
    folder, _, base = name.rpartition("/")
    key, _, suffix = base.partition(".")
    return f"{folder}/{key}", suffix.lower()


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
