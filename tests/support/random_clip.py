"""CLIP with seeded random weights, as its publishers export it: float pixels or token ids in, raw projections out.

The names and shapes of the weights are those of Hugging Face transformers' CLIPModel, so that the reference loads the
very same ones. Source: Radford et al. 2021, arXiv:2103.00020; transformers, models/clip/modeling_clip.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from kindred_kit.graphs.builder import GraphBuilder

Weights = Mapping[str, NDArray[np.float32]]
_EPSILON = 1e-5
_MASKED = -1e9


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


def image_tower(weights: Weights, shape: ClipShape = VIT_B_32) -> onnx.ModelProto:
    """`pixel_values` float32 [batch, 3, px, px], normalised -> `image_embeds` [batch, d], not normalised.

    Beside it `last_hidden_state`, as publishers' exports have.
    """
    graph = GraphBuilder()
    tower = shape.image
    size: list[int | str] = ["batch_size", 3, shape.image_px, shape.image_px]
    pixels = graph.input("pixel_values", TensorProto.FLOAT, size)
    stem = "vision_model.embeddings"
    kernel = graph.floats(weights[f"{stem}.patch_embedding.weight"])
    side = [shape.patch_px, shape.patch_px]
    patches = graph.op("Conv", pixels, kernel, kernel_shape=side, strides=side)
    patches = graph.op("Reshape", patches, graph.ints([0, tower.width, -1]))
    patches = graph.op("Transpose", patches, perm=[0, 2, 1])
    batch = graph.op("Shape", pixels, start=0, end=1)
    target = graph.op("Concat", batch, graph.ints([1, tower.width]), axis=0)
    first = graph.op("Expand", graph.floats(weights[f"{stem}.class_embedding"].reshape(1, 1, -1)), target)
    hidden = graph.op("Concat", first, patches, axis=1)
    hidden = graph.op("Add", hidden, graph.floats(weights[f"{stem}.position_embedding.weight"]))
    hidden = _norm(graph, weights, "vision_model.pre_layrnorm", hidden)
    hidden = _encoder(graph, weights, "vision_model", tower, hidden, mask=None)
    pooled = graph.op("Squeeze", graph.op("Gather", hidden, graph.ints([0]), axis=1), graph.ints([1]))
    pooled = _norm(graph, weights, "vision_model.post_layernorm", pooled)
    projected = graph.op("MatMul", pooled, graph.floats(weights["visual_projection.weight"].T))
    tokens = (shape.image_px // shape.patch_px) ** 2 + 1
    graph.output(projected, "image_embeds", TensorProto.FLOAT, ["batch_size", shape.embedding])
    graph.output(hidden, "last_hidden_state", TensorProto.FLOAT, ["batch_size", tokens, tower.width])
    return graph.model("clip_image")


def text_tower(weights: Weights, shape: ClipShape = VIT_B_32) -> onnx.ModelProto:
    """`input_ids` int64 [batch, s], s up to the context -> `text_embeds` [batch, d], not normalised.

    Read at the end token, which has the highest id; what follows it changes nothing.
    """
    graph = GraphBuilder()
    tower = shape.text
    ids = graph.input("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"])
    stem = "text_model.embeddings"
    hidden = graph.op("Gather", graph.floats(weights[f"{stem}.token_embedding.weight"]), ids)
    length = graph.op("Shape", ids, start=1, end=2)
    zero = graph.ints([0])
    places = graph.floats(weights[f"{stem}.position_embedding.weight"])
    hidden = graph.op("Add", hidden, graph.op("Slice", places, zero, length, zero))
    later = np.triu(np.full((shape.context, shape.context), _MASKED, np.float32), 1)
    both = graph.op("Concat", length, length, axis=0)
    mask = graph.op("Slice", graph.floats(later), graph.ints([0, 0]), both, graph.ints([0, 1]))
    hidden = _encoder(graph, weights, "text_model", tower, hidden, mask=mask)
    hidden = _norm(graph, weights, "text_model.final_layer_norm", hidden)
    end = graph.op("ArgMax", ids, axis=1, keepdims=1)
    pooled = graph.op("GatherND", hidden, end, batch_dims=1)
    projected = graph.op("MatMul", pooled, graph.floats(weights["text_projection.weight"].T))
    sequence: list[int | str] = ["batch_size", "sequence_length", tower.width]
    graph.output(projected, "text_embeds", TensorProto.FLOAT, ["batch_size", shape.embedding])
    graph.output(hidden, "last_hidden_state", TensorProto.FLOAT, sequence)
    return graph.model("clip_text")


def write_random_clip(folder: Path, shape: ClipShape = VIT_B_32, seed: int = 7) -> tuple[Path, Path]:
    """`folder`/vision_model.onnx and text_model.onnx, the same bytes for the same seed."""
    weights = random_weights(shape, seed)
    image, text = folder / "vision_model.onnx", folder / "text_model.onnx"
    image.write_bytes(serialised(image_tower(weights, shape)))
    text.write_bytes(serialised(text_tower(weights, shape)))
    return image, text


def serialised(model: onnx.ModelProto) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def fingerprint(weights: Weights) -> str:
    """SHA-256 over all of them: goldens say which weights they were made with."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    return digest.hexdigest()


def _encoder(graph: GraphBuilder, weights: Weights, prefix: str, tower: Tower, hidden: str, mask: str | None) -> str:
    for number in range(tower.layers):
        layer = f"{prefix}.encoder.layers.{number}"
        normed = _norm(graph, weights, f"{layer}.layer_norm1", hidden)
        hidden = graph.op("Add", hidden, _attention(graph, weights, f"{layer}.self_attn", tower, normed, mask))
        normed = _norm(graph, weights, f"{layer}.layer_norm2", hidden)
        inner = _linear(graph, weights, f"{layer}.mlp.fc1", normed)
        gate = graph.op("Sigmoid", graph.op("Mul", inner, graph.floats(1.702)))  # quick GELU
        fed = _linear(graph, weights, f"{layer}.mlp.fc2", graph.op("Mul", inner, gate))
        hidden = graph.op("Add", hidden, fed)
    return hidden


def _attention(graph: GraphBuilder, weights: Weights, name: str, tower: Tower, value: str, mask: str | None) -> str:
    size = tower.width // tower.heads

    def heads(part: str, order: list[int]) -> str:
        split = graph.op(
            "Reshape", _linear(graph, weights, f"{name}.{part}", value), graph.ints([0, 0, tower.heads, size])
        )
        return graph.op("Transpose", split, perm=order)

    scores = graph.op("MatMul", heads("q_proj", [0, 2, 1, 3]), heads("k_proj", [0, 2, 3, 1]))
    scores = graph.op("Mul", scores, graph.floats(size**-0.5))
    if mask is not None:
        scores = graph.op("Add", scores, mask)
    mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), heads("v_proj", [0, 2, 1, 3]))
    joined = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), graph.ints([0, 0, tower.width]))
    return _linear(graph, weights, f"{name}.out_proj", joined)


def _linear(graph: GraphBuilder, weights: Weights, name: str, value: str) -> str:
    matrix: Any = weights[f"{name}.weight"].T
    return graph.op("Add", graph.op("MatMul", value, graph.floats(matrix)), graph.floats(weights[f"{name}.bias"]))


def _norm(graph: GraphBuilder, weights: Weights, name: str, value: str) -> str:
    gain, bias = graph.floats(weights[f"{name}.weight"]), graph.floats(weights[f"{name}.bias"])
    return graph.op("LayerNormalization", value, gain, bias, axis=-1, epsilon=_EPSILON)
