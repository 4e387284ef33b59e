"""model.yaml of a model folder, read and checked."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, LiteralString, TypeVar

import yaml

from kindred_kit.errors import InvalidArgument, ModelInvalid

Fit = Literal["stretch", "letterbox", "center_crop"]
HeadKind = Literal["yolox", "yolov5", "yolov8"]
ANY_PROFILE = "any"
"""Profile of a model that works beside those of every profile, such as a user's own detector."""
CALIBRATION_FILE = "calibration.json"
_HASH_CHUNK_BYTES = 1 << 20
_MAX_INPUT_PX = 8192

T = TypeVar("T", bound=LiteralString)


@dataclass(frozen=True)
class ImageInput:
    """An image tensor of a model. Ours take uint8 [n, height, width, 3] RGB; a graph from elsewhere may want its own.

    `pad_value` 0..255 is the grey of a letterbox, `centred` whether the image lies in its middle or at the top left.
    `planar`: [n, 3, height, width]; `bgr`: blue first; `scale`: None for uint8, else float32 of pixel * scale.
    """

    name: str
    width: int
    height: int
    fit: Fit
    pad_value: int
    centred: bool = True
    planar: bool = False
    bgr: bool = False
    scale: float | None = None


@dataclass(frozen=True)
class Head:
    """How the one output of a YOLO graph is read: `output` [n, anchors, …]. `strides` in px, for `yolox` alone."""

    kind: HeadKind
    output: str
    strides: tuple[int, ...]


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
    head: Head | None
    raw: Mapping[str, Any]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names of the label set in the order of class ids; empty where the model has none."""
        entry = self.raw.get("label_set")
        if not entry:
            return ()
        try:
            lines = (self.folder / entry["file"]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelInvalid(f"model {self.name}: its list of classes can't be read: {error}") from error
        names = tuple(" ".join(line.split()) for line in lines)
        if not all(names) or len({name.casefold() for name in names}) != len(names):
            raise ModelInvalid(f"model {self.name}: its list of classes has an empty line or a name twice")
        return names

    @property
    def detects(self) -> bool:
        """Whether it finds boxes of a label set."""
        return bool(self.label_set) and self.kind in {"detector", "image_pipeline"}

    def serves(self, profile: str) -> bool:
        return self.profile in {profile, ANY_PROFILE}

    @property
    def boxes_input(self) -> ImageInput:
        """The image tensor in whose frame the boxes lie. Raises ModelInvalid where there is none."""
        if self.head and len(self.image_inputs) == 1:
            return self.image_inputs[0]
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
                head=_head(raw["head"], raw["outputs"]) if raw.get("head") else None,
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
    def load(cls, repository: Path, own: Path | None = None) -> "ModelSet":
        """Read every `*/model.yaml` below `repository`, and below `own`, the user's.

        Raises ModelInvalid when there is none, for a name given twice, and for one label set of two class lists.
        """
        models: dict[str, ModelManifest] = {}
        for folder in (repository, own) if own is not None else (repository,):
            manifests = [ModelManifest.load(path.parent) for path in sorted(folder.glob("*/model.yaml"))]
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


def _image_input(entry: Mapping[str, Any]) -> ImageInput:
    return ImageInput(
        name=entry["name"],
        width=_side(entry["width"]),
        height=_side(entry["height"]),
        fit=_one_of(entry["fit"], "stretch", "letterbox", "center_crop"),
        pad_value=int(entry.get("pad_value", 114)),
        centred=_one_of(entry.get("pad_position", "centre"), "centre", "top_left") == "centre",
        planar=_one_of(entry.get("layout", "NHWC"), "NHWC", "NCHW") == "NCHW",
        bgr=_one_of(entry.get("colour", "RGB"), "RGB", "BGR") == "BGR",
        scale=float(entry.get("scale", 1.0))
        if _one_of(entry.get("dtype", "uint8"), "uint8", "float32") == "float32"
        else None,
    )


def _head(entry: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> Head:
    output = entry.get("output", outputs[0]["name"])
    if output not in {known["name"] for known in outputs}:
        raise ValueError(f"the head reads an output {output!r} that is not listed")
    strides = tuple(_side(stride) for stride in entry.get("strides", (8, 16, 32)))
    return Head(_one_of(entry["kind"], "yolox", "yolov5", "yolov8"), output, strides)


def _side(value: Any) -> int:
    if not 1 <= int(value) <= _MAX_INPUT_PX:
        raise ValueError(f"{value!r} px")
    return int(value)


def _one_of(value: Any, *known: T) -> T:
    for name in known:
        if value == name:
            return name
    raise ValueError(f"{value!r} is none of {', '.join(map(str, known))}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
