"""The publisher's file of a model -> the graph that is served, in the store once and whole."""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs import nms, proof, published, towers, yolo
from kindred_kit.graphs.nms import Engine
from kindred_kit.graphs.precision import set_precision
from kindred_kit.models import ModelManifest
from kindred_kit.models.manifest import MADE_FILE
from kindred_kit.models.source import Precision
from kindred_kit.models.store import file_sha256


def make_ready(manifest: ModelManifest) -> bool:
    """Prepare a pulled model into its `onnx_path`; False where it is there already.

    Raises ModelInvalid where the file is not what its manifest says, or was not pulled; then nothing is left.
    """
    source, target = manifest.source, manifest.onnx_path
    if source is None or target.is_file():
        return False
    with manifest.store.locked(f"{manifest.name}-{target.parent.name}"):
        if target.is_file():
            return False
        with manifest.store.draft(target) as draft:
            write_graph(manifest, draft)
            proof.prove(draft, manifest)
            made = {"source_sha256": source.sha256, "sha256": file_sha256(draft), "onnx": onnx.__version__}
            with manifest.store.draft(target.parent / MADE_FILE) as note:
                note.write_text(json.dumps(made, indent=1))
    return True


def write_graph(
    manifest: ModelManifest, target: Path, *, engine: Engine = "onnxruntime", precision: Precision | None = None
) -> None:
    """Write a graph of the pulled file for an engine; `precision`: another than the manifest's.

    For TensorRT weights are always float (its builder chooses precisions by itself) and NMS is its plugin's.
    Raises ModelInvalid.
    """
    if manifest.source is None or manifest.preparation is None:
        raise ModelInvalid(f"model {manifest.name} is served as it lies in its folder")
    path = manifest.store.source_path(manifest.source)
    if not path.is_file():
        raise ModelInvalid(f"model {manifest.name} is not pulled:  kindred models pull {manifest.name}")
    try:
        model = _prepared(published.read(path), manifest, engine)
    except ModelInvalid as error:
        raise ModelInvalid(f"{manifest.source.file_name}: {error.detail}") from error
    set_precision(model, "fp32" if engine == "tensorrt" else precision or manifest.preparation.precision)
    target.write_bytes(model.SerializeToString(deterministic=True))


def _prepared(model: onnx.ModelProto, manifest: ModelManifest, engine: Engine) -> onnx.ModelProto:
    preparation = manifest.preparation
    assert preparation is not None
    if preparation.graph == "image_tower":
        return towers.image_tower(model, manifest, preparation)
    if preparation.graph == "text_tower":
        return towers.text_tower(model, manifest, preparation)
    prepared = yolo.yolo(model, manifest, preparation, engine)
    if engine == "tensorrt":
        prepared.opset_import.append(nms.plugin_opset())
    return prepared
