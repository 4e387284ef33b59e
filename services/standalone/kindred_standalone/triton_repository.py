"""The models of a profile -> a Triton model repository."""

from __future__ import annotations

from pathlib import Path

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelSet
from kindred_kit.triton import Target, WrittenModel, write_model


def write_repository(models: ModelSet, profile: str, target: Target, out: Path) -> tuple[list[WrittenModel], list[str]]:
    """Write those whose files are there; also the names of those that are missing.

    Raises ModelInvalid where a file is not the one of its manifest, and where nothing would be served.
    """
    chosen = [model for model in models if model.serves(profile)]
    present = [model for model in chosen if model.onnx_path.is_file()]
    missing = [model.name for model in chosen if model not in present]
    if not present:
        known = ", ".join(sorted({model.profile for model in models}))
        what = f"the files of {', '.join(missing)} are missing" if missing else f"there are profiles {known}"
        raise ModelInvalid(f"nothing to serve of profile {profile!r}: {what}")
    for model in present:
        model.verify()
    return [write_model(model, target, out) for model in present], missing
