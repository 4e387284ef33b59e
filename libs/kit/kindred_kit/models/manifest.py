"""model.yaml of a model folder, read and checked."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, LiteralString, TypeVar

import yaml

from kindred_kit.errors import ModelInvalid
from kindred_kit.models.source import Preparation, Source
from kindred_kit.models.store import ModelStore, default_store, file_sha256, recipe_of

Fit = Literal["stretch", "letterbox", "center_crop"]
HeadKind = Literal["yolox", "yolov5", "yolov8"]
State = Literal["ready", "pulled", "not pulled"]
"""`pulled`: the publisher's file is there, but not prepared by the recipe of this manifest."""
ANY_PROFILE = "any"
"""Profile of a model that works beside those of every profile, such as a user's own detector."""
CALIBRATION_FILE = "calibration.json"
MADE_FILE = "made.json"
"""Beside a prepared graph: what it was made of, and its SHA-256."""
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
class Tokens:
    """How a text becomes token ids. `clean` is a name of kindred_embedder.cleaning.

    `max_tokens` with the end token; `pad_id` fills up to it, or to the longest text where it is None.
    """

    clean: str
    max_tokens: int
    pad_id: int | None


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
    A model with a `source` is not in its folder but in the `store`, once it was pulled; with `license_acceptance` only
    after its licence was accepted.
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
    tokens: Tokens | None
    files: tuple[ModelFile, ...]
    head: Head | None
    source: Source | None
    preparation: Preparation | None
    license_acceptance: bool
    store: ModelStore
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
    def max_text_tokens(self) -> int:
        """0 for a model that reads no text."""
        return self.tokens.max_tokens if self.tokens else 0

    @property
    def onnx_path(self) -> Path:
        """The graph that is served: in the folder, or in the store for a model that is pulled."""
        if self.source is None:
            return self.folder / "1" / "model.onnx"
        return self.store.ready_path(self.name, recipe_of(self.raw))

    @property
    def state(self) -> State:
        if self.source is None or self.onnx_path.is_file():
            return "ready"
        return "pulled" if self.store.source_path(self.source).is_file() else "not pulled"

    @property
    def size_bytes(self) -> int:
        """Of all its files; of weights that are not there as far as their publisher says."""
        weights = self.source.size_bytes if self.source else 0
        if self.source and self.onnx_path.is_file():
            weights = self.onnx_path.stat().st_size
        return weights + sum(file.size_bytes for file in self.files)

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / str(self.raw["tokenizer"]["file"])

    def verify(self) -> None:
        """Compare every file that is there with its SHA-256. Raises ModelInvalid naming the first that differs."""
        for file in self.files:
            if not file.path.is_file():
                raise ModelInvalid(f"model {self.name}: {file.path.name} is missing from {self.folder}")
            if file.path.stat().st_size != file.size_bytes or file_sha256(file.path) != file.sha256:
                raise ModelInvalid(
                    f"model {self.name}: {file.path.name} is not the file that model.yaml names (SHA-256)"
                )
        if self.source is not None:
            self._verify_pulled(self.source)

    def _verify_pulled(self, source: Source) -> None:
        again = f"remove it, and  kindred models pull {self.name}  gets it again"
        published = self.store.source_path(source)
        if published.is_file() and file_sha256(published) != source.sha256:
            raise ModelInvalid(f"model {self.name}: {published} is not what its publisher offers; {again}")
        if not self.onnx_path.is_file():
            return
        try:
            made = json.loads((self.onnx_path.parent / MADE_FILE).read_text())["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelInvalid(
                f"model {self.name}: {self.onnx_path.parent} has no readable {MADE_FILE}; {again}"
            ) from error
        if file_sha256(self.onnx_path) != made:
            raise ModelInvalid(f"model {self.name}: {self.onnx_path} is not the graph that was prepared; {again}")

    @classmethod
    def load(cls, folder: Path, store: Path | None = None) -> "ModelManifest":
        """Read `folder`/model.yaml. Raises ModelInvalid when it is missing or lacks what every model needs."""
        path = folder / "model.yaml"
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            if raw.get("source") and not re.fullmatch(r"\w[\w.-]*", raw["name"], re.ASCII):
                raise ValueError(f"{raw['name']!r} can't be the name of a folder in the store")
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
                tokens=_tokens(raw["tokenizer"]) if raw.get("tokenizer") else None,
                head=_head(raw["head"], raw["outputs"]) if raw.get("head") else None,
                files=tuple(ModelFile(folder / f["path"], f["sha256"], f["size_bytes"]) for f in raw["files"]),
                source=Source.of(raw["source"]) if raw.get("source") else None,
                preparation=Preparation.of(raw["prepare"]) if raw.get("source") else None,
                license_acceptance=_one_of(raw.get("license_acceptance", "none"), "none", "required") == "required",
                store=ModelStore(store or default_store()),
                raw=raw,
            )
        except OSError as error:
            raise ModelInvalid(f"no readable model.yaml in {folder}: {error.strerror}") from error
        except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
            raise ModelInvalid(f"{path}: not a model manifest: {error!r}") from error


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


def _tokens(entry: Mapping[str, Any]) -> Tokens:
    fixed = _one_of(entry.get("padding", "longest"), "longest", "max_length") == "max_length"
    return Tokens(
        str(entry.get("clean", "whitespace")), int(entry["max_tokens"]), int(entry["pad_id"]) if fixed else None
    )


def _side(value: Any) -> int:
    if not 1 <= int(value) <= _MAX_INPUT_PX:
        raise ValueError(f"{value!r} px")
    return int(value)


def _one_of(value: Any, *known: T) -> T:
    for name in known:
        if value == name:
            return name
    raise ValueError(f"{value!r} is none of {', '.join(map(str, known))}")
