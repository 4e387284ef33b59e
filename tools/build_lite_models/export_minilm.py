"""all-MiniLM-L6-v2 from its safetensors to ONNX: int8 weights, float32 activations, mean pooling inside.

Only weights are quantised (one scale for each output channel): a text's vector does not depend on the batch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from safetensors.numpy import load_file

from .graph import GraphBuilder

Floats = NDArray[np.float32]
MASKED = -10_000.0


def export(folder: Path) -> onnx.ModelProto:
    """ids, mask int64 [n, s] -> sentence float32 [n, 384], unit length; from config.json and model.safetensors."""
    weights: dict[str, Floats] = load_file(folder / "model.safetensors")
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return _Bert(weights, heads=config["num_attention_heads"], epsilon=config["layer_norm_eps"]).build(
        layers=config["num_hidden_layers"]
    )


class _Bert:
    def __init__(self, weights: dict[str, Floats], heads: int, epsilon: float) -> None:
        self._graph = GraphBuilder()
        self._weights = weights
        self._heads = heads
        self._epsilon = epsilon
        self._width = weights["embeddings.LayerNorm.weight"].shape[0]

    def build(self, layers: int) -> onnx.ModelProto:
        graph = self._graph
        ids = graph.input("ids", TensorProto.INT64, ["n", "s"])
        mask = graph.op("Cast", graph.input("mask", TensorProto.INT64, ["n", "s"]), to=TensorProto.FLOAT)
        hidden = self._embed(ids)
        absent = graph.op("Mul", graph.op("Sub", graph.floats(1), mask), graph.floats(MASKED))
        absent = graph.op("Unsqueeze", absent, graph.ints([1, 2]))
        for layer in range(layers):
            hidden = self._layer(f"encoder.layer.{layer}.", hidden, absent)
        graph.output(self._pool(hidden, mask), "sentence", TensorProto.FLOAT, ["n", self._width])
        return graph.model("minilm_l6")

    def _embed(self, ids: str) -> str:
        """Words + positions + the first token type."""
        graph, table = self._graph, self._weights["embeddings.word_embeddings.weight"]
        words = graph.op("Gather", self._int8(table, axis=0), ids)
        places = (
            self._weights["embeddings.position_embeddings.weight"]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = graph.op("Shape", ids, start=1, end=2)
        used = graph.op("Slice", graph.floats(places), graph.ints([0]), length, graph.ints([0]))
        return self._norm("embeddings.LayerNorm", graph.op("Add", words, used))

    def _layer(self, prefix: str, hidden: str, absent: str) -> str:
        graph = self._graph
        attended = self._linear(f"{prefix}attention.output.dense", self._attention(prefix, hidden, absent))
        hidden = self._norm(f"{prefix}attention.output.LayerNorm", graph.op("Add", attended, hidden))
        inner = self._linear(f"{prefix}intermediate.dense", hidden)
        erf = graph.op("Erf", graph.op("Mul", inner, graph.floats(np.sqrt(0.5))))
        gelu = graph.op("Mul", graph.op("Mul", inner, graph.op("Add", erf, graph.floats(1))), graph.floats(0.5))
        fed = self._linear(f"{prefix}output.dense", gelu)
        return self._norm(f"{prefix}output.LayerNorm", graph.op("Add", fed, hidden))

    def _attention(self, prefix: str, hidden: str, absent: str) -> str:
        graph, size = self._graph, self._width // self._heads

        def heads(which: str, order: list[int]) -> str:
            value = self._linear(f"{prefix}attention.self.{which}", hidden)
            split = graph.op("Reshape", value, graph.ints([0, 0, self._heads, size]))
            return graph.op("Transpose", split, perm=order)

        scores = graph.op("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
        scores = graph.op("Add", graph.op("Mul", scores, graph.floats(size**-0.5)), absent)
        mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), heads("value", [0, 2, 1, 3]))
        return graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), graph.ints([0, 0, self._width]))

    def _pool(self, hidden: str, mask: str) -> str:
        graph = self._graph
        kept = graph.op("Mul", hidden, graph.op("Unsqueeze", mask, graph.ints([2])))
        total = graph.op("ReduceSum", kept, graph.ints([1]), keepdims=0)
        return graph.l2_normalise(graph.op("Div", total, graph.op("ReduceSum", mask, graph.ints([1]), keepdims=1)))

    def _linear(self, name: str, value: str) -> str:
        matrix = self._int8(np.ascontiguousarray(self._weights[f"{name}.weight"].T), axis=1)
        return self._graph.op("Add", self._graph.op("MatMul", value, matrix), self._floats(f"{name}.bias"))

    def _norm(self, name: str, value: str) -> str:
        gain, bias = self._floats(f"{name}.weight"), self._floats(f"{name}.bias")
        return self._graph.op("LayerNormalization", value, gain, bias, axis=-1, epsilon=self._epsilon)

    def _floats(self, name: str) -> str:
        return self._graph.floats(self._weights[name])

    def _int8(self, values: Floats, axis: int) -> str:
        """Symmetric; one scale for each index of `axis`."""
        scale = np.maximum(np.abs(values).max(1 - axis), 1e-12).astype(np.float32) / np.float32(127)
        steps = np.rint(values / np.expand_dims(scale, 1 - axis)).astype(np.int8)
        graph = self._graph
        return graph.op("DequantizeLinear", graph.constant(steps), graph.floats(scale), axis=axis)
