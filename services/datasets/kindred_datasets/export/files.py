"""The files of an export: each is hashed while it is written, and remembered for the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast

from kindred_datasets.export.destination import Destination


class _Hashed:
    """The part of a writable file that an export needs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.byte_size = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.sha256.update(data)
        self.byte_size += len(data)
        return len(data)


class Files:
    """Written one after another. What is known of each waits on the disk: an export may have a hundred thousand."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._spools = ExitStack()
        self._written = self.spool("written")
        self._count = 0

    @contextmanager
    def open(self, path: str, **facts: Any) -> Iterator[BinaryIO]:
        """The next file; `facts` go into its line of the manifest. Raises OSError."""
        with self._destination.open(path) as file:
            hashed = _Hashed(file)
            yield cast(BinaryIO, hashed)
        line = {"path": path, "bytes": hashed.byte_size, "sha256": hashed.sha256.hexdigest(), **facts}
        self._written.write((",\n" if self._count else "").encode() + json.dumps(line).encode())
        self._count += 1

    def write(self, path: str, data: bytes, **facts: Any) -> None:
        with self.open(path, **facts) as file:
            file.write(data)

    def spool(self, name: str) -> BinaryIO:
        """A file that is not part of the export, for what is written into it at the end."""
        return self._spools.enter_context((self._destination.scratch / name).open("w+b"))

    def take(self, path: str, spool: BinaryIO) -> None:
        """A spool, from its beginning, becomes a file."""
        spool.seek(0)
        with self.open(path) as file:
            shutil.copyfileobj(spool, file)

    def write_manifest(self, path: str, facts: dict[str, Any]) -> str:
        """`facts` and then all files written so far, as JSON; answers the SHA-256 of this file itself."""
        with self._destination.open(path) as file:
            hashed = _Hashed(file)
            hashed.write(json.dumps(facts, indent=1, ensure_ascii=True)[:-2].encode())
            hashed.write(b',\n "files": [\n')
            self._written.seek(0)
            shutil.copyfileobj(self._written, hashed)
            hashed.write(b"\n]}\n")
        return hashed.sha256.hexdigest()

    def close(self) -> None:
        self._spools.close()
