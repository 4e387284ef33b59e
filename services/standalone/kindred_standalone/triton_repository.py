"""The models of a profile -> a Triton model repository."""

from __future__ import annotations

from pathlib import Path

from kindred_kit.errors import ModelInvalid, ModelNotPulled
from kindred_kit.models import ModelManifest, ModelSet, pull_command
from kindred_kit.triton import Target, WrittenModel, write_model


def write_repository(
    models: ModelSet, profile: str, target: Target, out: Path
) -> tuple[list[WrittenModel], list[ModelManifest]]:
    """Write those of the profile that are here; also those that are not pulled.

    Raises ModelInvalid for a profile that there is not and for a file that is not the one of its manifest, and
    ModelNotPulled where nothing would be served.
    """
    chosen = [model for model in models if model.serves(profile)]
    if not chosen:
        known = ", ".join(sorted({model.profile for model in models}))
        raise ModelInvalid(f"there is no profile {profile!r}; there are {known}")
    ready = [model for model in chosen if model.state == "ready"]
    missing = [model for model in chosen if model not in ready]
    if not ready:
        raise ModelNotPulled(f"nothing of profile {profile!r} is here yet; get it with:  {pull_command(missing)}")
    for model in ready:
        model.verify()
    return [write_model(model, target, out) for model in ready], missing
