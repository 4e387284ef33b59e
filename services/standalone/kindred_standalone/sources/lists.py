"""A text file of URLs, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kindred_kit.fetching import MAX_URL_CHARS
from kindred_standalone.sources.item import Item, identity_of, name_of
from kindred_standalone.sources.loading import Loaders
from kindred_standalone.text import printable

_MAX_LINE_CHARS = 4 * MAX_URL_CHARS


class UrlList:
    """Empty lines and those that begin with # are passed over."""

    def __init__(self, path: Path, loaders: Loaders) -> None:
        self._path = path
        self._loaders = loaders

    def items(self) -> Iterator[Item]:
        with self._path.open("r", encoding="utf-8-sig", errors="replace") as file:
            for url in map(str.strip, _lines(file)):
                if url and not url.startswith("#"):
                    identity = identity_of("url", url, fields={})
                    yield Item(printable(url[:MAX_URL_CHARS]), identity, {}, name_of(url), self._loaders.url(url))


def _lines(file: TextIO) -> Iterator[str]:
    """Lines; one that is longer than any URL is cut, so that a file without line ends does not fill the memory."""
    while line := file.readline(_MAX_LINE_CHARS):
        yield line
        while len(line) == _MAX_LINE_CHARS and not line.endswith("\n"):
            line = file.readline(_MAX_LINE_CHARS)
