"""Model folders of the repository around files of a test's own, and a store that holds them."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kindred_kit.models import ModelManifest
from kindred_kit.models.pulling import import_file
from support.paths import MODELS


def model_folder(
    repository: Path, name: str, file: Path, *, like: str = "", changes: Mapping[str, Any] | None = None
) -> Path:
    """`repository`/`name`: the shipped folder `like`, made of `file`. `changes` go over its model.yaml, deeply."""
    folder = repository / name
    shutil.copytree(MODELS / (like or name), folder)
    raw = yaml.safe_load((folder / "model.yaml").read_text())
    raw["name"] = name
    raw["source"] = {**raw["source"], "path": file.name, **pinned(file)}
    raw["source"].pop("size_mb", None)
    _merge(raw, changes or {})
    (folder / "model.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    return folder


def pinned(file: Path) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size_bytes": file.stat().st_size}


def pulled(folder: Path, file: Path, store: Path) -> ModelManifest:
    """The manifest of a folder whose file lies in the store, not yet prepared."""
    manifest = ModelManifest.load(folder, store)
    import_file([manifest], file)
    return manifest


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
