"""Where an export goes: a zip in the object store, a zip file or a folder; nothing is seen there before the end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from kindred_kit.errors import InvalidArgument
from kindred_kit.ports.blobs import BlobStore

# The first day that a zip knows: the same files give the same archive, whenever it is made.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _PLAIN_FILE = 3, 0o100644
_PACKED_ALREADY = (".jpg", ".png", ".webp")


@dataclass(frozen=True)
class Published:
    """Size in bytes; `sha256` of the archive, empty for a folder."""

    byte_size: int
    sha256: str


class Destination(Protocol):
    """Files by relative path, one after another; they appear together with `publish`, or never.

    Blocking calls, of one thread at a time. `scratch`: a folder beside what is written, gone with it.
    """

    scratch: Path

    def begin(self) -> None:
        """Make the folders; what an export that was killed left in them goes. Raises OSError, InvalidArgument."""
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The next file, to be written to. Raises OSError."""
        ...

    async def publish(self) -> Published:
        """Raises OSError, Unavailable."""
        ...

    def discard(self) -> None:
        """Remove what was not published. Never raises."""
        ...


class ZipDestination:
    """A zip that grows in `staging`, a folder of its own, until `keep` takes it. ZIP64 where it is needed."""

    def __init__(self, staging: Path, keep: Callable[[Path], Awaitable[None]]) -> None:
        self.scratch = staging
        self._keep = keep
        self._path = staging / "archive.zip"
        self._zip: zipfile.ZipFile | None = None

    def begin(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self._zip = zipfile.ZipFile(self._path, "x", allowZip64=True)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        assert self._zip is not None, "begin comes first"
        entry = zipfile.ZipInfo(path, _DATE)
        entry.create_system = _UNIX
        entry.external_attr = _PLAIN_FILE << 16
        entry.compress_type = zipfile.ZIP_STORED if path.endswith(_PACKED_ALREADY) else zipfile.ZIP_DEFLATED
        with self._zip.open(entry, "w") as file:
            yield cast(BinaryIO, file)

    async def publish(self) -> Published:
        published = await asyncio.to_thread(self._close)
        await self._keep(self._path)
        self.discard()
        return published

    def discard(self) -> None:
        if self._zip is not None and self._zip.fp is not None:
            # not close(): it would write the directory of an archive that nobody wants, onto a disk that may be full
            with suppress(OSError):
                self._zip.fp.close()
            self._zip.fp = None
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _close(self) -> Published:
        assert self._zip is not None, "begin comes first"
        self._zip.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            return Published(self._path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def stored_zip(blobs: BlobStore, key: str, staging: Path) -> ZipDestination:
    """A zip that becomes the object `key`."""

    async def keep(archive: Path) -> None:
        await blobs.put_file(key, archive)

    return ZipDestination(staging, keep)


def zip_file(path: Path) -> ZipDestination:
    """A zip that becomes the file `path`, in the place of another one."""

    async def keep(archive: Path) -> None:
        await asyncio.to_thread(os.replace, archive, path)

    return ZipDestination(_beside(path), keep)


class FolderDestination:
    """A folder that is new or empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging = _beside(folder)
        self._new = self._staging / "new"
        self.scratch = self._staging / "scratch"
        self._byte_size = 0

    def begin(self) -> None:
        if self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())):
            raise InvalidArgument("the folder for the data set holds other files; choose an empty or a new one")
        shutil.rmtree(self._staging, ignore_errors=True)
        self._new.mkdir(parents=True)
        self.scratch.mkdir()

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        target = self._new / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            yield file
            self._byte_size += file.tell()

    async def publish(self) -> Published:
        await asyncio.to_thread(self._publish)
        return Published(self._byte_size, "")

    def discard(self) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)

    def _publish(self) -> None:
        os.sync()  # once for all files: the name must not survive a power cut that their bytes don't
        os.replace(self._new, self._folder)
        self.discard()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.kindred-new")
