"""The lite models that are part of the repository: manifests, shapes, batch invariance, a real photo."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

REPOSITORY = Path(__file__).resolve().parents[3]
MODELS = REPOSITORY / "triton_models"
NAMES = ("lite_image", "lite_text")
BATCH_TOLERANCE = 1e-5
MAX_TOTAL_BYTES = 60_000_000


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((MODELS / name / "model.yaml").read_text())
    return content


def load(name: str) -> ort.InferenceSession:
    return ort.InferenceSession(str(MODELS / name / "1/model.onnx"), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def image_model() -> ort.InferenceSession:
    return load("lite_image")


@pytest.fixture(scope="module")
def text_model() -> ort.InferenceSession:
    return load("lite_text")


def run_images(model: ort.InferenceSession, images: list[Image.Image]) -> dict[str, NDArray[Any]]:
    """Outputs by name; the detector sees the photo in the centre of a black square."""
    encoder = np.stack([np.asarray(image.resize((320, 320), Image.Resampling.BICUBIC)) for image in images])
    detector = np.stack([np.asarray(letterboxed(image)) for image in images])
    names = [value.name for value in model.get_outputs()]
    return dict(zip(names, model.run(names, {"encoder_image": encoder, "detector_image": detector}), strict=True))


def letterboxed(image: Image.Image) -> Image.Image:
    scale = 512 / max(image.size)
    inner = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (512, 512))
    canvas.paste(inner, ((512 - inner.width) // 2, (512 - inner.height) // 2))
    return canvas


def run_texts(model: ort.InferenceSession, texts: list[str]) -> NDArray[np.float32]:
    tokenizer = Tokenizer.from_file(str(MODELS / "lite_text/tokenizer.json"))
    tokenizer.enable_truncation(manifest("lite_text")["tokenizer"]["max_tokens"])
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    ids, mask = (np.array([getattr(item, field) for item in encoded], np.int64) for field in ("ids", "attention_mask"))
    result: NDArray[np.float32] = model.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
    return result


@pytest.fixture(scope="module")
def some_images() -> list[Image.Image]:
    """Noise of several grains and one gradient: unlike each other, the same on every machine."""
    random = np.random.default_rng(3)
    grains = [Image.fromarray(random.integers(0, 256, (side, side + 3, 3), np.uint8)) for side in (4, 9, 40)]
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return [*grains, Image.fromarray(np.stack([np.broadcast_to(ramp, (48, 64))] * 3, -1))]


TEXTS = ["a dog", "Two people walk along the beach at sunset, far from the town", "red bus", "person " * 200]


@pytest.mark.parametrize("name", NAMES)
def test_manifest_describes_the_files_beside_it(name: str) -> None:
    for entry in manifest(name)["files"]:
        content = (MODELS / name / entry["path"]).read_bytes()
        assert len(content) == entry["size_bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_manifest_declares_what_the_graph_has(name: str) -> None:
    types = {"tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float)": "float32"}
    model = load(name)
    for key, values in (("inputs", model.get_inputs()), ("outputs", model.get_outputs())):
        declared = [(entry["name"], entry["dtype"], entry["shape"]) for entry in manifest(name)[key]]
        assert declared == [(value.name, types[value.type], list(value.shape)) for value in values]


def test_both_models_share_a_space_that_names_the_image_model() -> None:
    image, text = (manifest(name) for name in NAMES)
    assert image["space"] == text["space"]
    assert image["files"][0]["sha256"][:12] in image["space"]


def test_model_files_stay_small_enough_to_commit() -> None:
    assert sum((MODELS / name / "1/model.onnx").stat().st_size for name in NAMES) <= MAX_TOTAL_BYTES


def test_labels_are_the_80_coco_classes() -> None:
    labels = (MODELS / "lite_image/labels.txt").read_text().splitlines()
    assert (len(labels), len(set(labels)), labels[0], labels[-1]) == (80, 80, "person", "toothbrush")


def test_image_outputs_have_unit_norm_and_order(
    image_model: ort.InferenceSession, some_images: list[Image.Image]
) -> None:
    found = run_images(image_model, some_images)
    count = len(some_images)
    shapes = {"embedding": (count, 768), "boxes": (count, 100, 4), "scores": (count, 100), "classes": (count, 100)}
    assert {name: value.shape for name, value in found.items()} == shapes
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1, atol=1e-5)
    assert (np.diff(found["scores"], axis=1) <= 0).all()
    assert found["boxes"].min() >= 0
    assert found["boxes"].max() <= 1
    assert (found["boxes"][..., 2:] >= found["boxes"][..., :2]).all()
    assert set(np.unique(found["classes"])) <= set(range(80))


def test_image_embedding_does_not_depend_on_its_neighbours(
    image_model: ort.InferenceSession, some_images: list[Image.Image]
) -> None:
    together = run_images(image_model, some_images)
    for row, image in enumerate(some_images):
        alone = run_images(image_model, [image])
        np.testing.assert_allclose(alone["embedding"][0], together["embedding"][row], atol=BATCH_TOLERANCE)
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=BATCH_TOLERANCE)


def test_text_embedding_does_not_depend_on_its_neighbours(text_model: ort.InferenceSession) -> None:
    together = run_texts(text_model, TEXTS)
    alone = np.concatenate([run_texts(text_model, [text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=BATCH_TOLERANCE)


def test_text_embedding_has_unit_norm_and_no_visual_part(text_model: ort.InferenceSession) -> None:
    found = run_texts(text_model, TEXTS)
    assert found.shape == (len(TEXTS), 768)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert not found[:, -128:].any()
