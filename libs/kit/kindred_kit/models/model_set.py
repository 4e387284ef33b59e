"""All models of a repository folder, and which of them a profile needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred_kit.errors import InvalidArgument, ModelInvalid, ModelNotPulled
from kindred_kit.models.manifest import CALIBRATION_FILE, ModelManifest


@dataclass(frozen=True)
class ModelSet:
    """All models of a repository folder."""

    models: Mapping[str, ModelManifest]

    @classmethod
    def load(cls, repository: Path, own: Path | None = None, store: Path | None = None) -> "ModelSet":
        """Read every `*/model.yaml` below `repository`, and below `own`, the user's. `store` holds pulled weights.

        Raises ModelInvalid when there is none, for a name given twice, and for one label set of two class lists.
        """
        models: dict[str, ModelManifest] = {}
        for folder in (repository, own) if own is not None else (repository,):
            manifests = [ModelManifest.load(path.parent, store) for path in sorted(folder.glob("*/model.yaml"))]
            if not manifests:
                raise ModelInvalid(f"no model folders in {folder}")
            for manifest in manifests:
                if manifest.name in models:
                    raise ModelInvalid(f"two model folders are named {manifest.name!r}")
                models[manifest.name] = manifest
        first_of: dict[str, ModelManifest] = {}
        for manifest in models.values():
            first = first_of.setdefault(manifest.label_set, manifest)
            if manifest.label_set and first is not manifest and manifest.classes != first.classes:
                raise ModelInvalid(
                    f"models {first.name} and {manifest.name} give label set {manifest.label_set} other classes; "
                    "name one of the sets otherwise"
                )
        return cls(models)

    def __iter__(self) -> Iterator[ModelManifest]:
        return iter(self.models.values())

    @property
    def label_sets(self) -> dict[str, tuple[str, ...]]:
        """Label set -> class names in the order of class ids."""
        return {manifest.label_set: manifest.classes for manifest in self if manifest.label_set}

    @property
    def calibration_files(self) -> list[Path]:
        """Where a model folder keeps how precise its labels are; few have one."""
        return [manifest.folder / CALIBRATION_FILE for manifest in self if manifest.detects]

    def get(self, name: str) -> ModelManifest:
        if name not in self.models:
            raise InvalidArgument(f"no model {name!r}; there are {', '.join(self.models)}")
        return self.models[name]

    def detectors(self, profile: str) -> list[ModelManifest]:
        """Models that find boxes, the profile's own first: the first of a label set is the one that labels."""
        found = [manifest for manifest in self if manifest.detects and manifest.serves(profile)]
        return sorted(found, key=lambda manifest: manifest.profile != profile)

    def of_kind(self, profile: str, *kinds: str) -> ModelManifest:
        """The model of a profile that has one of the kinds, the first kind first. Raises ModelInvalid."""
        for kind in kinds:
            for manifest in self:
                if manifest.profile == profile and manifest.kind == kind:
                    return manifest
        raise ModelInvalid(f"profile {profile!r} has no model of kind {' or '.join(kinds)}")

    def needed(self, profile: str) -> list[ModelManifest]:
        """What a profile can't do without: its towers, and a detector, one that is ready before any other."""
        found = [
            self.of_kind(profile, "image_pipeline", "image_encoder"),
            self.of_kind(profile, "text_encoder"),
            *sorted(self.detectors(profile), key=lambda manifest: manifest.state != "ready")[:1],
        ]
        return list({manifest.name: manifest for manifest in found}.values())

    def pulled(self, profile: str) -> "ModelSet":
        """Those whose weights are here, for who runs them in this process.

        Raises ModelNotPulled with the command to give where the profile needs others.
        """
        missing = [manifest for manifest in self.needed(profile) if manifest.state != "ready"]
        if missing:
            raise ModelNotPulled(
                f"profile {profile!r} needs {_listed([manifest.name for manifest in missing])}, not pulled yet; "
                f"get what is missing with:  {pull_command(missing)}"
            )
        return ModelSet({name: manifest for name, manifest in self.models.items() if manifest.state == "ready"})


def pull_command(models: list[ModelManifest]) -> str:
    """What a person types to get `models`."""
    names = " ".join(manifest.name for manifest in models)
    accept = " --accept-license" if any(manifest.license_acceptance for manifest in models) else ""
    return f"kindred models pull {names}{accept}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
