"""Files of this disk as blob keys."""

from __future__ import annotations

import os
from pathlib import Path

from kindred_kit.adapters.file_references import reference_key


def file_key(path: bytes) -> str:
    """Blob key of an absolute path of any bytes."""
    return reference_key(Path(os.fsdecode(path)))
