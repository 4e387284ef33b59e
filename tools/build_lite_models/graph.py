"""What the lite models' graphs go through; the builder is the kit's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from kindred_kit.graphs.builder import GraphBuilder

__all__ = ["GraphBuilder", "optimise", "session", "store_half"]

HALF_MIN_ELEMENTS = 1024
"""Constants smaller than this stay float32: they weigh nothing, and scales and biases keep their exact value."""


def optimise(model: onnx.ModelProto) -> onnx.ModelProto:
    """ONNX Runtime's machine-independent rewrites (constant folding, transposes cancelled), saved as plain ONNX."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(target)
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimised = onnx.load(target)
    del optimised.graph.value_info[:]
    used = {node.domain for node in optimised.graph.node}
    kept = [entry for entry in optimised.opset_import if entry.domain in used]
    del optimised.opset_import[:]
    optimised.opset_import.extend(kept)
    for node in optimised.graph.node:
        node.name = ""
    return optimised


def store_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large float32 constants become float16 plus a Cast, which runtimes fold at load: half the file, same speed."""
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALF_MIN_ELEMENTS:
            continue
        name = tensor.name
        half = np.clip(values, -65504, 65504).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_f16"))
        casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def session(model: onnx.ModelProto | Path, threads: int = 1) -> ort.InferenceSession:
    """An ONNX Runtime CPU session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
