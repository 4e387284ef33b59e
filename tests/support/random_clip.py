"""CLIP with seeded random weights, as its publishers export it: float pixels or token ids in, raw projections out.

Source: Radford et al. 2021, arXiv:2103.00020; transformers, models/clip/modeling_clip.py, which loads the same weights
for the goldens (tests/reference).
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from kindred_kit.graphs.builder import GraphBuilder
from support.clip_weights import TINY, VIT_B_32, ClipShape, Tower, Weights, fingerprint, random_weights

__all__ = [
    "TINY",
    "VIT_B_32",
    "ClipShape",
    "Tower",
    "Weights",
    "fingerprint",
    "image_tower",
    "random_weights",
    "text_tower",
    "write_random_clip",
]
_EPSILON = 1e-5
_MASKED = -1e9


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
