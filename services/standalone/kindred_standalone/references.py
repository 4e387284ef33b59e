"""Files of this disk as blob keys."""

from __future__ import annotations

import os
from pathlib import Path

from kindred_kit.adapters.file_references import read_regular, reference_key
from kindred_kit.errors import ImageTooLarge
from kindred_standalone.errors import FileUnreadable
from kindred_standalone.text import printable_path


def file_key(path: bytes) -> str:
    """Blob key of an absolute path of any bytes."""
    return reference_key(Path(os.fsdecode(path)))


def read_named(path: bytes | Path, max_bytes: int) -> bytes:
    """A file that the user has named. Raises FileUnreadable and, without reading it, ImageTooLarge."""
    shown = printable_path(path)
    try:
        size = os.stat(path).st_size
        if size > max_bytes:
            raise ImageTooLarge(f"{shown} has {size:,} bytes, more than the {max_bytes:,} that an image may have")
        return read_regular(Path(os.fsdecode(path)))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileUnreadable(f"{shown} can't be read: {reason}") from error
