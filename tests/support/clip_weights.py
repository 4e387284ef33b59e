"""The shape of CLIP and seeded random weights for it; numpy alone, so that the reference's environment can make them.

Names and shapes are those of Hugging Face transformers' CLIPModel. Source: transformers, models/clip/modeling_clip.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Tower:
    """Of a transformer: `width` numbers a token, `layers`, `heads`; the inner layer is four times as wide."""

    width: int
    layers: int
    heads: int


@dataclass(frozen=True)
class ClipShape:
    """`image_px` and `patch_px` in pixels, `embedding` the size of the shared space."""

    image: Tower
    text: Tower
    image_px: int = 224
    patch_px: int = 32
    context: int = 77
    vocabulary: int = 49_408
    embedding: int = 512


VIT_B_32 = ClipShape(Tower(768, 12, 12), Tower(512, 12, 8))
"""The exact shape: 151 million weights, 605 MB; seconds to make."""
TINY = ClipShape(Tower(64, 2, 2), Tower(32, 2, 2), image_px=64, embedding=16)
"""For tests that look at anything but numbers."""


def random_weights(shape: ClipShape = VIT_B_32, seed: int = 7) -> dict[str, NDArray[np.float32]]:
    """Scaled as CLIP is initialised, with gains and biases that differ from 1 and 0: a lost one must show."""
    random = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.float32]] = {}

    def normal(name: str, *sides: int, scale: float, around: float = 0.0) -> None:
        values = random.standard_normal(sides, np.float32)
        values *= np.float32(scale)
        weights[name] = values + np.float32(around) if around else values

    def linear(name: str, inputs: int, outputs: int, scale: float) -> None:
        normal(f"{name}.weight", outputs, inputs, scale=scale)
        normal(f"{name}.bias", outputs, scale=0.02)

    def norm(name: str, width: int) -> None:
        normal(f"{name}.weight", width, scale=0.1, around=1.0)
        normal(f"{name}.bias", width, scale=0.02)

    def layers(prefix: str, tower: Tower) -> None:
        deep = (2 * tower.layers) ** -0.5
        for number in range(tower.layers):
            layer = f"{prefix}.encoder.layers.{number}"
            norm(f"{layer}.layer_norm1", tower.width)
            for part in ("q_proj", "k_proj", "v_proj"):
                linear(f"{layer}.self_attn.{part}", tower.width, tower.width, tower.width**-0.5)
            linear(f"{layer}.self_attn.out_proj", tower.width, tower.width, tower.width**-0.5 * deep)
            norm(f"{layer}.layer_norm2", tower.width)
            linear(f"{layer}.mlp.fc1", tower.width, 4 * tower.width, (2 * tower.width) ** -0.5)
            linear(f"{layer}.mlp.fc2", 4 * tower.width, tower.width, tower.width**-0.5 * deep)

    vision, text = "vision_model", "text_model"
    normal(f"{vision}.embeddings.class_embedding", shape.image.width, scale=shape.image.width**-0.5)
    patch = (shape.image.width, 3, shape.patch_px, shape.patch_px)
    normal(f"{vision}.embeddings.patch_embedding.weight", *patch, scale=0.02)
    patches = (shape.image_px // shape.patch_px) ** 2
    normal(f"{vision}.embeddings.position_embedding.weight", patches + 1, shape.image.width, scale=0.02)
    norm(f"{vision}.pre_layrnorm", shape.image.width)  # the publishers' spelling
    layers(vision, shape.image)
    norm(f"{vision}.post_layernorm", shape.image.width)
    normal("visual_projection.weight", shape.embedding, shape.image.width, scale=shape.image.width**-0.5)

    normal(f"{text}.embeddings.token_embedding.weight", shape.vocabulary, shape.text.width, scale=0.02)
    normal(f"{text}.embeddings.position_embedding.weight", shape.context, shape.text.width, scale=0.01)
    layers(text, shape.text)
    norm(f"{text}.final_layer_norm", shape.text.width)
    normal("text_projection.weight", shape.embedding, shape.text.width, scale=shape.text.width**-0.5)
    return weights


def fingerprint(weights: Weights) -> str:
    """SHA-256 over all of them: goldens say which weights they were made with."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()
