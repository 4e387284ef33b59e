"""Find the image files below some paths, whatever their names are and however their links run."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kindred_kit.imaging.sniff import image_format
from kindred_standalone.summary import Problem

IMAGE_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .png .apng .webp .gif .heic .heif .hif .avif .bmp .dib .tif .tiff".split()
)
_SNIFFED_BYTES = 64


@dataclass
class Found:
    """What a scan found. Only the paths of candidates are kept, not what the files are like."""

    candidates: list[bytes] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Files that are no images, by suffix (`""` for none); hidden ones are not counted."""


def scan(paths: Iterable[Path], *, exclude: Iterable[Path] = (), found: Found | None = None) -> Found:
    """List candidates below `paths`, in the order of names.

    Hidden files and folders are passed over unless named themselves. Links are followed; a folder is entered once,
    however many links lead to it, and `exclude` never. A file is a candidate by its suffix, else by its first bytes;
    one that was named itself always is, so that its fault gets a reason. `found` may be watched from another thread.
    """
    found = found if found is not None else Found()
    entered = {identity for path in exclude if (identity := _identity(os.fsencode(path))) is not None}
    seen: set[bytes] = set()

    def add(path: bytes) -> None:
        if path not in seen:
            seen.add(path)
            found.candidates.append(path)

    for path in paths:
        start = os.path.abspath(os.fsencode(path))
        if os.path.isdir(start):
            _walk(start, entered, found, add)
        else:
            add(start)
    return found


def _walk(start: bytes, entered: set[tuple[int, int]], found: Found, add: Callable[[bytes], None]) -> None:
    # A stack instead of recursion: depth is the user's, not Python's.
    stack = [start]
    while stack:
        folder = stack.pop()
        identity = _identity(folder)
        if identity is None or identity in entered:
            continue
        entered.add(identity)
        folders = []
        for entry in _entries(folder, found):
            try:
                kind = entry.stat().st_mode
            except OSError as error:
                if _suffix(entry.name) in IMAGE_SUFFIXES:
                    found.problems.append(Problem(entry.path, *_broken(entry, error)))
                else:
                    found.skipped[os.fsdecode(_suffix(entry.name))] += 1
                continue
            if stat.S_ISDIR(kind):
                folders.append(entry.path)
            elif stat.S_ISREG(kind) and _is_candidate(entry):
                add(entry.path)
            elif not stat.S_ISREG(kind) and _suffix(entry.name) in IMAGE_SUFFIXES:
                found.problems.append(Problem(entry.path, "file_unreadable", "not a regular file"))
            else:
                found.skipped[os.fsdecode(_suffix(entry.name))] += 1
        stack.extend(reversed(folders))


def _entries(folder: bytes, found: Found) -> Iterator[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(
                (entry for entry in entries if not entry.name.startswith(b".")), key=lambda entry: entry.name
            )
    except OSError as error:
        found.problems.append(Problem(folder, "folder_unreadable", f"the folder can't be read: {_words(error)}"))
        return
    yield from listed


def _is_candidate(entry: os.DirEntry[bytes]) -> bool:
    if _suffix(entry.name) in IMAGE_SUFFIXES:
        return True
    try:
        with open(entry.path, "rb") as file:
            return image_format(file.read(_SNIFFED_BYTES)) is not None
    except OSError:
        return False


def _broken(entry: os.DirEntry[bytes], error: OSError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return "file_missing", "the link points to nothing"
    return "file_unreadable", f"the file can't be read: {_words(error)}"


def _suffix(name: bytes) -> bytes:
    return os.path.splitext(name)[1].lower()


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
