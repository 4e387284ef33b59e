"""Towers: whatever the publisher calls things and however the file is made, the graph is ours, or says why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from support.pulled_models import model_folder, pulled
from support.random_clip import TINY, image_tower, random_weights, text_tower
from support.tiny_clip import embedding_output, tiny_clip

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.builder import GraphBuilder
from kindred_kit.graphs.prepare import make_ready, write_graph
from kindred_kit.models import ModelManifest

WEIGHTS = random_weights(TINY)
IMAGE = {
    "dimension": TINY.embedding,
    "outputs": embedding_output(TINY.embedding),
    "inputs": [
        {"name": "image", "dtype": "uint8", "shape": ["n", 64, 64, 3], "width": 64, "height": 64, "fit": "center_crop"}
    ],
}
TEXT = {"dimension": TINY.embedding, "outputs": embedding_output(TINY.embedding)}
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)


def manifest_of(tmp_path: Path, name: str, model: onnx.ModelProto, changes: dict[str, Any]) -> ModelManifest:
    file = tmp_path / "published.onnx"
    file.write_bytes(model.SerializeToString())
    return pulled(model_folder(tmp_path / "models", name, file, changes=changes), file, tmp_path / "store")


def run(path: Path, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    [embedding] = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["embedding"], inputs)
    return np.asarray(embedding)


def raw(model: onnx.ModelProto, output: str, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    [value] = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run([output], inputs)
    return np.asarray(value / np.linalg.norm(value, axis=1, keepdims=True))


def normalised(pixels: NDArray[np.uint8], manifest: ModelManifest) -> NDArray[np.float32]:
    prepare = manifest.raw["prepare"]
    scaled = (pixels / 255 - np.array(prepare["mean"])) / np.array(prepare["std"])
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def test_the_image_tower_normalises_by_itself(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "clip_image", image_tower(WEIGHTS, TINY), IMAGE)
    assert manifest.state == "pulled"
    assert make_ready(manifest)
    assert manifest.state == "ready"
    assert not make_ready(manifest)
    manifest.verify()
    wanted = raw(image_tower(WEIGHTS, TINY), "image_embeds", pixel_values=normalised(PIXELS, manifest))
    found = run(manifest.onnx_path, image=PIXELS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    alone = np.concatenate([run(manifest.onnx_path, image=PIXELS[row : row + 1]) for row in range(len(PIXELS))])
    np.testing.assert_allclose(alone, found, atol=1e-5)


def test_the_text_tower_takes_ids_of_a_fixed_length(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, "clip_text", text_tower(WEIGHTS, TINY), TEXT)
    make_ready(manifest)
    ids = np.full((3, 77), 49_407, np.int64)
    ids[:, 0] = 49_406
    ids[1, 1:9] = range(320, 328)
    np.testing.assert_allclose(
        run(manifest.onnx_path, input_ids=ids), raw(text_tower(WEIGHTS, TINY), "text_embeds", input_ids=ids), atol=1e-5
    )


def other_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Names that ours would collide with, and inputs and outputs that nobody could guess."""
    names = {"pixel_values": "image", "image_embeds": "embedding", "last_hidden_state": "after/mul_1"}
    for node in model.graph.node:
        for field in (node.input, node.output):
            changed = [names.get(name, name) for name in field]
            del field[:]
            field.extend(changed)
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names[value.name]
    return model


def fixed_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return model


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Takes and gives float16."""
    graph = GraphBuilder()
    given = graph.input("x", TensorProto.FLOAT16, ["b", 3, 64, 64])
    names = graph.absorb(model, "inner", {"pixel_values": graph.op("Cast", given, to=TensorProto.FLOAT)})
    value = graph.op("Cast", names["image_embeds"], to=TensorProto.FLOAT16)
    graph.output(value, "y", TensorProto.FLOAT16, ["b", TINY.embedding])
    return graph.model("half")


def rows_last(model: onnx.ModelProto) -> onnx.ModelProto:
    """Takes NHWC."""
    graph = GraphBuilder()
    given = graph.input("x", TensorProto.FLOAT, ["b", 64, 64, 3])
    names = graph.absorb(model, "inner", {"pixel_values": graph.op("Transpose", given, perm=[0, 3, 1, 2])})
    graph.output(names["image_embeds"], "y", TensorProto.FLOAT, ["b", TINY.embedding])
    return graph.model("rows_last")


def newer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Of an opset in which the axes of a reduction are an input."""
    model.opset_import[0].version = 20
    model.ir_version = 10
    return model


def with_a_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Doubled by a function of the file's own, as newer exporters write them."""
    opset = helper.make_opsetid("", 17)
    twice = helper.make_function("own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [opset])
    model.graph.node.append(helper.make_node("Twice", ["image_embeds"], ["doubled"], domain="own"))
    model.graph.output[0].name = "doubled"
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


@pytest.mark.parametrize("change", [other_names, fixed_batch, half, rows_last, newer, with_a_function])
def test_names_batches_and_layouts_of_publishers_do_not_matter(
    tmp_path: Path, change: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> None:
    manifest = manifest_of(tmp_path, "clip_image", change(image_tower(WEIGHTS, TINY)), IMAGE)
    make_ready(manifest)
    wanted = raw(image_tower(WEIGHTS, TINY), "image_embeds", pixel_values=normalised(PIXELS, manifest))
    np.testing.assert_allclose(run(manifest.onnx_path, image=PIXELS), wanted, atol=2e-3 if change is half else 1e-5)


def both_towers(mask: bool) -> onnx.ModelProto:
    """One file with both, as some publishers have; the text side with a mask that it does not need."""
    graph = GraphBuilder()
    pixels = graph.input("pixel_values", TensorProto.FLOAT, ["b", 3, 64, 64])
    ids = graph.input("input_ids", TensorProto.INT64, ["t", "s"])
    image = graph.absorb(image_tower(WEIGHTS, TINY), "image", {"pixel_values": pixels})["image_embeds"]
    text = graph.absorb(text_tower(WEIGHTS, TINY), "text", {"input_ids": ids})["text_embeds"]
    if mask:
        given = graph.input("attention_mask", TensorProto.INT64, ["t", "s"])
        some = graph.op("ReduceMax", given, axes=[1], keepdims=1)
        text = graph.op("Mul", text, graph.op("Cast", some, to=TensorProto.FLOAT))
    scores = graph.op("MatMul", image, graph.op("Transpose", text, perm=[1, 0]))
    graph.output(scores, "logits_per_image", TensorProto.FLOAT, ["b", "t"])
    graph.output(text, "text_embeds", TensorProto.FLOAT, ["t", TINY.embedding])
    graph.output(image, "image_embeds", TensorProto.FLOAT, ["b", TINY.embedding])
    return graph.model("clip")


def test_towers_are_cut_out_of_a_file_that_has_both(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    image = manifest_of(tmp_path / "a", "clip_image", both_towers(mask=False), IMAGE)
    make_ready(image)
    wanted = raw(image_tower(WEIGHTS, TINY), "image_embeds", pixel_values=normalised(PIXELS, image))
    np.testing.assert_allclose(run(image.onnx_path, image=PIXELS), wanted, atol=1e-5)
    (tmp_path / "b").mkdir()
    text = manifest_of(tmp_path / "b", "clip_text", both_towers(mask=True), TEXT)
    make_ready(text)
    ids = np.full((2, 77), 49_407, np.int64)
    ids[0, 1:4] = (320, 321, 322)
    np.testing.assert_allclose(
        run(text.onnx_path, input_ids=ids), raw(text_tower(WEIGHTS, TINY), "text_embeds", input_ids=ids), atol=1e-5
    )


def no_embedding(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.graph.output[0]
    return model


def remembers_its_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """An image's embedding depends on its neighbours, as after dynamic quantisation."""
    graph = GraphBuilder()
    given = graph.input("pixel_values", TensorProto.FLOAT, ["b", 3, 64, 64])
    largest = graph.op("ReduceMax", given, keepdims=1)
    names = graph.absorb(
        model, "inner", {"pixel_values": graph.op("Max", given, graph.op("Sub", largest, graph.floats(1)))}
    )
    graph.output(names["image_embeds"], "y", TensorProto.FLOAT, ["b", TINY.embedding])
    return graph.model("dependent")


def gives_nothing(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = GraphBuilder()
    given = graph.input("pixel_values", TensorProto.FLOAT, ["b", 3, 64, 64])
    names = graph.absorb(model, "inner", {"pixel_values": given})
    nan = graph.op("Mul", names["image_embeds"], graph.floats(np.nan))
    graph.output(nan, "y", TensorProto.FLOAT, ["b", TINY.embedding])
    return graph.model("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_embedding, r"one output float \[n, 16\] is needed.*last_hidden_state float32 \[\?, 5, 64\]"),
        (remembers_its_batch, "changes with its neighbours"),
        (gives_nothing, "not finite"),
    ],
)
def test_a_file_that_is_no_tower_says_why(
    tmp_path: Path, change: Callable[[onnx.ModelProto], onnx.ModelProto], said: str
) -> None:
    manifest = manifest_of(tmp_path, "clip_image", change(image_tower(WEIGHTS, TINY)), IMAGE)
    with pytest.raises(ModelInvalid, match=said):
        make_ready(manifest)
    assert manifest.state == "pulled"
    assert not list(manifest.onnx_path.parent.iterdir())


def test_a_tower_of_another_size_or_kind_says_so(tmp_path: Path) -> None:
    for number, (name, model, changes, said) in enumerate(
        [
            ("clip_image", image_tower(WEIGHTS, TINY), {"inputs": [{**IMAGE["inputs"][0], "width": 32}]}, "32 x 64 px"),  # type: ignore[index]
            ("clip_image", image_tower(WEIGHTS, TINY), {"dimension": 512}, r"float \[n, 512\]"),
            ("clip_image", text_tower(WEIGHTS, TINY), {}, "no such input, but input_ids"),
            ("clip_text", image_tower(WEIGHTS, TINY), {}, "no such input, but pixel_values"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        base = IMAGE if name == "clip_image" else TEXT
        with pytest.raises(ModelInvalid, match=said):
            write_graph(manifest_of(folder, name, model, {**base, **changes}), folder / "graph.onnx")


@pytest.mark.parametrize(
    "data", [b"", b"not a model", b"\x08\x08" * 40, helper.make_graph([], "g", [], []).SerializeToString()]
)
def test_what_is_no_onnx_file_says_so(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "published.onnx"
    file.write_bytes(data)
    manifest = pulled(model_folder(tmp_path / "models", "clip_image", file), file, tmp_path / "store")
    with pytest.raises(ModelInvalid, match="is not an ONNX file"):
        make_ready(manifest)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    model = image_tower(WEIGHTS, TINY)
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="../../../etc/passwd")
    with pytest.raises(ModelInvalid, match="export it as one file"):
        make_ready(manifest_of(tmp_path, "clip_image", model, IMAGE))


def test_the_shipped_manifests_fit_small_clips_too(tmp_path: Path) -> None:
    repository, files = tiny_clip(tmp_path)
    for name, file in files.items():
        assert make_ready(pulled(repository / name, file, tmp_path / "store"))
