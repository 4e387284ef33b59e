"""Where the frozen networks come from: prepared ONNX files, or the published packages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

PREPARED = {
    "backbone": ("efflite2_dense.onnx", "13c4083d89c53ebcea14ebe6eeb0608fef91ff8c8ac3296d1d726ba950c7e4dd"),
    "centernet": ("mb3_centernet.onnx", "e562fd37a677689a22eb21dc2e7c559e29ea039236822ae05d31be37933c73cb"),
    "sentence_encoder": ("minilm_l6_w8.onnx", "f198de423a960f163d29670e66ba7baecfb77f5034ac69bb32345bb4ffd371e0"),
}


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
    from .publish import sha256

    for name, expected in PREPARED.values():
        if sha256(folder / name) != expected:
            raise UnexpectedFile(f"{name} has sha256 {sha256(folder / name)}, not {expected}")
    return Networks(**{role: onnx.load(folder / name) for role, (name, _) in PREPARED.items()})
