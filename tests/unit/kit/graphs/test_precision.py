"""Weights of fewer bits and dynamically quantised files: activations stay float, rows do not depend on each other."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from support.pulled_models import model_folder, pulled
from support.random_clip import TINY, random_weights, text_tower
from support.tiny_clip import embedding_output, tiny_clip

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.prepare import make_ready, write_graph
from kindred_kit.models import ModelManifest
from kindred_kit.models.source import Precision

TEXT = {"dimension": TINY.embedding, "outputs": embedding_output(TINY.embedding)}


def some_ids() -> NDArray[np.int64]:
    """Texts of 1 to 20 words, padded as CLIP's are."""
    random = np.random.default_rng(3)
    ids = np.full((8, 77), 49_407, np.int64)
    for row in ids:
        words = random.integers(1, 20)
        row[0], row[1 : 1 + words] = 49_406, random.integers(320, 40_000, words)
    return ids


def run(path: Path, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    [embedding] = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["embedding"], inputs)
    return np.asarray(embedding)


def texts_alone(path: Path, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate([run(path, input_ids=row[np.newaxis]) for row in ids])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelManifest]:
    root = tmp_path_factory.mktemp("clip")
    repository, files = tiny_clip(root)
    return {name: pulled(repository / name, file, root / "store") for name, file in files.items()}


@pytest.mark.parametrize(("precision", "cosine", "share"), [("fp16", 0.99999, 0.51), ("int8", 0.999, 0.3)])
@pytest.mark.parametrize("name", ["clip_image", "clip_text"])
def test_smaller_weights_change_little_and_no_activation(
    clip: dict[str, ModelManifest], tmp_path: Path, name: str, precision: Precision, cosine: float, share: float
) -> None:
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    write_graph(clip[name], full)
    write_graph(clip[name], small, precision=precision)
    inputs: dict[str, NDArray[Any]] = {"input_ids": some_ids()}
    if name == "clip_image":
        inputs = {"image": np.random.default_rng(2).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)}
    wanted, found = run(full, **inputs), run(small, **inputs)
    assert (wanted * found).sum(1).min() > cosine
    assert small.stat().st_size < share * full.stat().st_size
    alone = np.concatenate([run(small, **{key: value[n : n + 1] for key, value in inputs.items()}) for n in range(8)])
    np.testing.assert_allclose(alone, found, atol=1e-5)


@pytest.fixture(scope="module", params=[False, True], ids=["per tensor", "per channel"])
def quantised(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text tower as its publisher's text_model_quantized.onnx probably is."""
    folder = tmp_path_factory.mktemp("quantised")
    (folder / "float.onnx").write_bytes(text_tower(random_weights(TINY), TINY).SerializeToString())
    weights = QuantType.QInt8 if request.param else QuantType.QUInt8
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", per_channel=request.param, weight_type=weights)
    return folder / "int8.onnx"


def test_a_dynamically_quantised_text_tower_loses_its_neighbours_and_keeps_its_weights(
    quantised: Path, tmp_path: Path
) -> None:
    manifest = pulled(model_folder(tmp_path / "m", "clip_text", quantised, changes=TEXT), quantised, tmp_path / "s")
    ids = some_ids()
    published = ort.InferenceSession(str(quantised), providers=["CPUExecutionProvider"])
    together = published.run(["text_embeds"], {"input_ids": ids})[0]
    alone = np.concatenate([published.run(["text_embeds"], {"input_ids": row[np.newaxis]})[0] for row in ids])
    assert np.abs(together - alone).max() > 1e-3, "the file as published is what this guards against"

    assert make_ready(manifest)
    found = run(manifest.onnx_path, input_ids=ids)
    np.testing.assert_allclose(texts_alone(manifest.onnx_path, ids), found, atol=1e-5)
    assert manifest.onnx_path.stat().st_size < 1.1 * quantised.stat().st_size
    operators = {node.op_type for node in onnx.load(manifest.onnx_path).graph.node}
    assert not operators & {"DynamicQuantizeLinear", "MatMulInteger"}

    exact = run_float(quantised.parent / "float.onnx", ids)
    from_published = (exact * alone).sum(1) / np.linalg.norm(alone, axis=1)
    assert (exact * found).sum(1).mean() > from_published.mean(), "nearer to float than what its publisher computes"


def run_float(path: Path, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    [value] = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        ["text_embeds"], {"input_ids": ids}
    )
    return np.asarray(value / np.linalg.norm(value, axis=1, keepdims=True))


def test_float_weights_of_a_quantised_file_have_the_same_values(quantised: Path, tmp_path: Path) -> None:
    manifest = pulled(model_folder(tmp_path / "m", "clip_text", quantised, changes=TEXT), quantised, tmp_path / "s")
    write_graph(manifest, tmp_path / "int8.onnx")
    write_graph(manifest, tmp_path / "fp32.onnx", precision="fp32")
    # ONNX Runtime may multiply int8 weights by rows rounded to int8, each with its own scale: not exact, but alone
    cosine = (
        run(tmp_path / "int8.onnx", input_ids=some_ids()) * run(tmp_path / "fp32.onnx", input_ids=some_ids())
    ).sum(1)
    assert cosine.min() > 0.999


def test_what_can_not_be_made_float_is_refused(quantised: Path, tmp_path: Path) -> None:
    model = onnx.load(quantised)
    for node in model.graph.node:
        if node.op_type == "MatMulInteger":
            node.input[3] = node.input[2]  # a zero point that is no constant
    file = tmp_path / "odd.onnx"
    file.write_bytes(model.SerializeToString())
    manifest = pulled(model_folder(tmp_path / "m", "clip_text", file, changes=TEXT), file, tmp_path / "s")
    with pytest.raises(ModelInvalid, match="scales activations by their batch in"):
        make_ready(manifest)
