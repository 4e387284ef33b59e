"""File names of an export: safe on every system, and each there once."""

from __future__ import annotations

import os
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_CHARS = 80
# Windows keeps these for devices, with whatever suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_ID_CHARS = 16


class Names:
    """Gives out stems, without suffix: ASCII letters, digits, `_` and `-` alone.

    Readers of lists split lines at blanks and pair an image with its labels by the stem, and OpenCV opens no other
    names on Windows. Two stems differ in more than case: not all file systems keep such names apart.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def stem(self, file_name: str, image_id: str) -> str:
        """The image's own name where it is readable in ASCII, else its id; with part of the id where it is taken."""
        own = _safe(file_name)
        short = image_id[:_ID_CHARS]
        candidates = [own, f"{own}_{short}"] if own else [short]
        candidates.append(image_id)
        stem = next((name for name in candidates if name.lower() not in self._taken), "")
        number = 2
        while not stem or stem.lower() in self._taken:
            stem, number = f"{image_id}_{number}", number + 1
        self._taken.add(stem.lower())
        return stem


def _safe(file_name: str) -> str:
    stem = os.path.splitext(file_name.replace("\\", "/").rpartition("/")[2])[0]
    if not stem.isascii():
        return ""
    safe = _UNSAFE.sub("_", stem)[:_MAX_CHARS].strip("_-")
    return f"{safe}_" if _DEVICES.fullmatch(safe) else safe
