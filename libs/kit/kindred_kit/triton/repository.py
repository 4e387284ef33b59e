"""Model folders -> a model repository that tritonserver serves as it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest
from kindred_kit.triton.config import config_pbtxt
from kindred_kit.triton.serving import Serving, Target
from kindred_kit.triton.tensors import TensorSpec, signature_of

PLAN_FILE = "plan.json"
"""What deploy/triton/build_plans.py needs to know to build a plan: the graph's hash, shapes, precision."""
_PYTHON_MODEL = Path(__file__).parent / "backend" / "model.py"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LENGTHS = (8, 16)


@dataclass(frozen=True)
class WrittenModel:
    """`folder` below the repository; `needs_plan`: nothing is served before a TensorRT plan was built."""

    name: str
    folder: Path
    needs_plan: bool


def write_model(model: ModelManifest, target: Target, repository: Path) -> WrittenModel:
    """Write `repository`/NAME for a runtime, over what an earlier run wrote; plans that lie there stay.

    Raises ModelInvalid for a model whose files are missing or not those of its manifest.
    """
    if not _NAME.fullmatch(model.name):
        raise ModelInvalid(f"a model can't be named {model.name!r}: Triton's folders have letters, digits, _ . -")
    if not model.onnx_path.is_file():
        raise ModelInvalid(f"model {model.name}: {model.onnx_path.name} is missing from {model.folder}")
    folder = repository / model.name
    texts = {"config.pbtxt": config_pbtxt(model, target)}
    if target == "tensorrt":
        graph = _graph_for_tensorrt(model, folder)
        texts[PLAN_FILE] = json.dumps(_plan(model, graph), indent=2) + "\n"
        # the plan builder puts one of these in the place of config.pbtxt: the plan, or ONNX Runtime where it failed
        texts |= {f"configs/{name}.pbtxt": config_pbtxt(model, name) for name in ("tensorrt", "onnxruntime")}
    _put(folder / "1" / "model.onnx", lambda path: _link_or_copy(model.onnx_path, path))
    if target == "python":
        _put(folder / "1" / "model.py", lambda path: shutil.copyfile(_PYTHON_MODEL, path))
    # the configuration last: a server that watches the folder finds the rest in place
    for name, text in reversed(texts.items()):
        _put(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    return WrittenModel(model.name, folder, target == "tensorrt" and not (folder / "1" / "model.plan").exists())


def _graph_for_tensorrt(model: ModelManifest, folder: Path) -> Path:
    """What the plan is built from, inside `folder`: of a pulled model a graph with float weights and TensorRT's NMS."""
    if model.source is None:
        return model.onnx_path
    from kindred_kit.graphs.prepare import write_graph  # the onnx library: 0.3 s

    path = folder / "1" / "tensorrt.onnx"
    _put(path, lambda target: write_graph(model, target, engine="tensorrt"))
    return path


def _plan(model: ModelManifest, graph: Path) -> dict[str, Any]:
    serving, signature = Serving.of(model), signature_of(model)
    sizes = (1, serving.preferred[0], serving.max_batch_size)
    return {
        "model": model.name,
        "onnx": f"1/{graph.name}",
        "onnx_sha256": _sha256(graph),
        "precision": serving.precision,
        "shapes": {
            which: {tensor.name: _shape(tensor, size, which, model) for tensor in signature.inputs}
            for which, size in zip(("min", "opt", "max"), sizes, strict=True)
        },
    }


def _shape(tensor: TensorSpec, size: int, which: str, model: ModelManifest) -> list[int]:
    length = {"min": _LENGTHS[0], "opt": _LENGTHS[1], "max": model.max_text_tokens}[which]
    dims = [dim if dim > 0 else length for dim in tensor.dims]
    return [size, *dims] if tensor.batched else dims


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    """A hard link where both lie on one disk: a graph of 350 MB need not be there twice."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside it and rename: a server never reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    write(beside)
    os.replace(beside, path)
    beside.unlink(missing_ok=True)  # a rename onto another link to the same file leaves both names
