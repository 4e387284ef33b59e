"""What the lite models' graphs go through; the builder is the kit's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

from kindred_kit.graphs import precision
from kindred_kit.graphs.builder import GraphBuilder

__all__ = ["GraphBuilder", "optimise", "session", "store_half"]


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
    """See `precision.store_half`."""
    precision.store_half(model)
    onnx.checker.check_model(model)
    return model


def session(model: onnx.ModelProto | Path, threads: int = 1) -> ort.InferenceSession:
    """An ONNX Runtime CPU session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
