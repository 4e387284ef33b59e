"""model.yaml of a model folder, read and checked."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from kindred_kit.errors import InvalidArgument, ModelInvalid

Fit = Literal["stretch", "letterbox", "center_crop"]
_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageInput:
    """An image tensor of a model: uint8 [n, height, width, 3] RGB. `pad_value` 0..255 is the grey of a letterbox."""

    name: str
    width: int
    height: int
    fit: Fit
    pad_value: int


@dataclass(frozen=True)
class ModelFile:
    """A file of the folder as its publisher made it."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class ModelManifest:
    """What a model folder says of itself. `space` is the embedding space, empty for a model that embeds nothing.

    `nms_iou`: overlap above which the weaker of two boxes of one class goes; 1 keeps all.
    """

    folder: Path
    name: str
    version: str
    profile: str
    kind: str
    space: str
    dimension: int
    license: str
    image_inputs: tuple[ImageInput, ...]
    outputs: tuple[str, ...]
    label_set: str
    score_threshold: float
    nms_iou: float
    max_text_tokens: int
    files: tuple[ModelFile, ...]
    raw: Mapping[str, Any]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names of the label set in the order of class ids; empty where the model has none."""
        entry = self.raw.get("label_set")
        if not entry:
            return ()
        return tuple((self.folder / entry["file"]).read_text(encoding="utf-8").splitlines())

    @property
    def boxes_input(self) -> ImageInput:
        """The image tensor in whose frame the `boxes` output lies. Raises ModelInvalid where there is none."""
        frame = next((entry.get("frame") for entry in self.raw["outputs"] if entry["name"] == "boxes"), None)
        for image_input in self.image_inputs:
            if image_input.name == frame:
                return image_input
        raise ModelInvalid(f"model {self.name}: no output `boxes` with the frame of an image input")

    @property
    def onnx_path(self) -> Path:
        return self.folder / "1" / "model.onnx"

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / str(self.raw["tokenizer"]["file"])

    def verify(self) -> None:
        """Compare every file with its size and SHA-256. Raises ModelInvalid naming the first that differs."""
        for file in self.files:
            if not file.path.is_file():
                raise ModelInvalid(f"model {self.name}: {file.path.name} is missing from {self.folder}")
            if file.path.stat().st_size != file.size_bytes or _sha256(file.path) != file.sha256:
                raise ModelInvalid(
                    f"model {self.name}: {file.path.name} is not the file that model.yaml names (SHA-256)"
                )

    @classmethod
    def load(cls, folder: Path) -> "ModelManifest":
        """Read `folder`/model.yaml. Raises ModelInvalid when it is missing or lacks what every model needs."""
        path = folder / "model.yaml"
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            return cls(
                folder=folder,
                name=raw["name"],
                version=str(raw["version"]),
                profile=raw["profile"],
                kind=raw["kind"],
                space=raw.get("space", ""),
                dimension=int(raw.get("dimension", 0)),
                license=raw["license"],
                image_inputs=tuple(_image_input(entry) for entry in raw["inputs"] if "fit" in entry),
                outputs=tuple(entry["name"] for entry in raw["outputs"]),
                label_set=(raw.get("label_set") or {}).get("name", ""),
                score_threshold=float(raw.get("score_threshold", 0.0)),
                nms_iou=float(raw.get("nms_iou", 1.0)),
                max_text_tokens=int((raw.get("tokenizer") or {}).get("max_tokens", 0)),
                files=tuple(ModelFile(folder / f["path"], f["sha256"], f["size_bytes"]) for f in raw["files"]),
                raw=raw,
            )
        except OSError as error:
            raise ModelInvalid(f"no readable model.yaml in {folder}: {error.strerror}") from error
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise ModelInvalid(f"{path}: not a model manifest: {error!r}") from error


@dataclass(frozen=True)
class ModelSet:
    """All models of a repository folder."""

    models: Mapping[str, ModelManifest]

    @classmethod
    def load(cls, repository: Path) -> "ModelSet":
        """Read every `*/model.yaml` below `repository`. Raises ModelInvalid when there is none."""
        manifests = [ModelManifest.load(path.parent) for path in sorted(repository.glob("*/model.yaml"))]
        if not manifests:
            raise ModelInvalid(f"no model folders in {repository}")
        return cls({manifest.name: manifest for manifest in manifests})

    def __iter__(self) -> Iterator[ModelManifest]:
        return iter(self.models.values())

    @property
    def label_sets(self) -> dict[str, tuple[str, ...]]:
        """Label set -> class names in the order of class ids."""
        return {manifest.label_set: manifest.classes for manifest in self if manifest.label_set}

    def get(self, name: str) -> ModelManifest:
        if name not in self.models:
            raise InvalidArgument(f"no model {name!r}; there are {', '.join(self.models)}")
        return self.models[name]

    def of_kind(self, profile: str, *kinds: str) -> ModelManifest:
        """The model of a profile that has one of the kinds, the first kind first. Raises ModelInvalid."""
        for kind in kinds:
            for manifest in self:
                if manifest.profile == profile and manifest.kind == kind:
                    return manifest
        raise ModelInvalid(f"profile {profile!r} has no model of kind {' or '.join(kinds)}")


def _image_input(entry: Mapping[str, Any]) -> ImageInput:
    fit = entry["fit"]
    if fit not in {"stretch", "letterbox", "center_crop"}:
        raise ValueError(f"unknown fit {fit!r}")
    return ImageInput(entry["name"], int(entry["width"]), int(entry["height"]), fit, int(entry.get("pad_value", 114)))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
