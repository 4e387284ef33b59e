"""A model folder around ../shared/models/yolox_nano, as a user would write one for a YOLO of their own."""

import hashlib
import shutil
from pathlib import Path

import yaml

from support.paths import MODELS, shared


def yolox_folder(repository: Path, *, name: str = "yolox_nano", label_set: str = "coco-80") -> Path:
    """`repository`/`name`; skips the test where the weights are missing."""
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    model, labels = folder / "1" / "model.onnx", folder / "labels.txt"
    shutil.copyfile(shared("models", "yolox_nano", "yolox_nano.onnx"), model)
    shutil.copyfile(MODELS / "lite_image" / "labels.txt", labels)
    image = {
        "name": "images", "dtype": "float32", "layout": "NCHW", "colour": "BGR", "width": 416, "height": 416,
        "fit": "letterbox", "pad_value": 114, "pad_position": "top_left",
    }  # fmt: skip
    manifest = {
        "name": name,
        "version": "1",
        "profile": "any",
        "kind": "detector",
        "license": "Apache-2.0",
        "inputs": [image],
        "outputs": [{"name": "output"}],
        "head": {"kind": "yolox", "output": "output", "strides": [8, 16, 32]},
        "label_set": {"name": label_set, "file": "labels.txt"},
        "score_threshold": 0.3,
        "nms_iou": 0.45,
        "files": [
            {
                "path": str(path.relative_to(folder)),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "size_bytes": path.stat().st_size,
            }
            for path in (model, labels)
        ],
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return folder
