"""Where pulled models lie: the publishers' files by their SHA-256, and the graphs made of them.

    sources/<sha256>.onnx         as published; `.part` while it is being fetched
    ready/<model>/<recipe>/       model.onnx, ready to serve, and made.json, its SHA-256
    locks/                        one pull of a file, and one preparation of a model, at a time

A file appears whole or not at all. `recipe` changes with the source, the manifest and the code that prepares: what was
made by another recipe is never served.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from kindred_kit.models.source import PREPARATION, Source

_HASH_CHUNK_BYTES = 1 << 20


def default_store() -> Path:
    """Below the platform's directory for the user's data."""
    return platformdirs.user_data_path("kindred-models")


def recipe_of(raw: Mapping[str, Any]) -> str:
    """What decides the bytes of a prepared graph, as 16 hex digits. `raw` is the model.yaml."""
    parts = [PREPARATION, raw["source"]["sha256"], raw["prepare"], raw["inputs"], raw["outputs"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ModelStore:
    """Looking makes nothing; only what writes makes folders."""

    root: Path

    def source_path(self, source: Source) -> Path:
        return self.root / "sources" / f"{source.sha256}.onnx"

    def part_path(self, source: Source) -> Path:
        return self.root / "sources" / f"{source.sha256}.part"

    def ready_path(self, model_name: str, recipe: str) -> Path:
        return self.root / "ready" / model_name / recipe / "model.onnx"

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Alone with `what` until the block ends; others wait. A process that dies lets go."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def draft(self, target: Path) -> Iterator[Path]:
        """A path to write that becomes `target` at the end of the block, or vanishes with an error."""
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        os.close(descriptor)
        draft = Path(name)
        try:
            yield draft
            draft.chmod(0o644)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
