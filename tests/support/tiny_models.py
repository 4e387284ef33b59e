"""Model folders of a few nodes each, written by the test that needs them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper

DOUBLE = "double"


def double_folder(repository: Path) -> Path:
    """`repository`/double: x float32 [n, 2] -> y = x + x."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    return model_folder(
        repository / DOUBLE,
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [x],
        [y],
        kind="detector",
        inputs=[{"name": "x", "dtype": "float32", "shape": ["n", 2]}],
        outputs=[{"name": "y", "dtype": "float32", "shape": ["n", 2]}],
    )


def model_folder(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs_info: Sequence[onnx.ValueInfoProto],
    outputs_info: Sequence[onnx.ValueInfoProto],
    **manifest: Any,
) -> Path:
    """A folder with the graph of `nodes` and a model.yaml that says `manifest` over what every model needs."""
    graph = helper.make_graph(nodes, folder.name, inputs_info, outputs_info)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = {"path": "1/model.onnx", "sha256": sha256, "size_bytes": path.stat().st_size}
    usual = {"name": folder.name, "version": "1", "profile": "any", "license": "Apache-2.0"}
    (folder / "model.yaml").write_text(yaml.safe_dump({**usual, "files": [file], **manifest}))
    return folder
