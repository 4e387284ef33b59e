"""Bytes of URLs and of files below a folder."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

from kindred_kit.errors import KindredError, Status
from kindred_kit.imaging import ImageLimits
from kindred_standalone.prepare import file_version, read_checked
from kindred_standalone.sources.item import Load, failing
from kindred_standalone.sources.politeness import PoliteFetcher


class PathRefused(KindredError):
    """A list names a file outside of the folder that it may name files of."""

    code = "path_refused"
    status = Status.UNPROCESSABLE


class Loaders:
    """`root`: the folder that paths are relative to and may not leave; None: that of the list."""

    def __init__(self, fetcher: PoliteFetcher, limits: ImageLimits, root: Path | None = None) -> None:
        self._fetcher = fetcher
        self._limits = limits
        self.root = root

    def url(self, url: str) -> Load:
        return partial(self._fetcher.fetch, url)

    def path(self, path: str, folder: Path) -> tuple[str, Load]:
        """What tells one version of the file from another, and its bytes."""
        root = (self.root or folder).resolve()
        try:
            resolved = (root / path.removeprefix("file://")).resolve()
        except (OSError, ValueError, RuntimeError):
            return path, failing(PathRefused("this is no path"))
        if not resolved.is_relative_to(root):
            return path, failing(PathRefused("the path leads out of the list's folder; --root DIR allows another one"))
        try:
            info = resolved.stat()
            version = f"{info.st_size}/{info.st_mtime_ns}"
        except OSError:
            version = ""
        return f"{resolved}|{version}", partial(self._read, os.fsencode(resolved))

    async def _read(self, path: bytes) -> bytes:
        return await asyncio.to_thread(lambda: read_checked(path, file_version(path), self._limits))
