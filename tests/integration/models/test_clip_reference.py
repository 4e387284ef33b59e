"""CLIP of the exact ViT-B/32 shape computes what transformers' CLIPModel computes with the same random weights.

The reference ran once: tests/golden/clip is its answer (`make test-reference` asks it again).
"""

import io
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.clip_goldens import GOLDEN, PHOTOS, seeded_pixels
from support.random_clip import fingerprint, random_weights

from kindred_embedder.images import ImageEmbedder
from kindred_embedder.texts import TextEmbedder
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.models import prepare_image

from .conftest import ClipProfile

LIMITS = ImageLimits(50_000_000, 120_000_000)
GOLDENS = json.loads((GOLDEN / "clip.json").read_text(encoding="utf-8"))
PHOTO_FILES = sorted(PHOTOS.glob("*.jpg"))


@pytest.fixture(scope="module")
def embeddings() -> Iterator[dict[str, NDArray[np.float32]]]:
    with np.load(GOLDEN / "embeddings.npz") as stored:
        yield dict(stored)


@pytest.fixture
async def inference(clip_profile: ClipProfile) -> AsyncIterator[OnnxInference]:
    inference = OnnxInference({model.name: model.onnx_path for model in clip_profile.models}, cores=1)
    yield inference
    await inference.aclose()


def test_the_weights_are_those_that_the_reference_had() -> None:
    assert fingerprint(random_weights()) == GOLDENS["weights_sha256"]


async def test_the_same_pixels_give_the_same_embedding(
    clip_profile: ClipProfile, inference: OnnxInference, embeddings: dict[str, NDArray[np.float32]]
) -> None:
    pixels = seeded_pixels()
    together = (await inference.infer("clip_image", {"image": pixels}))["embedding"]
    np.testing.assert_allclose(together, embeddings["pixels"], atol=1e-4)
    for row in range(len(pixels)):
        alone = (await inference.infer("clip_image", {"image": pixels[row : row + 1]}))["embedding"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


async def test_the_same_jpeg_gives_the_same_embedding(
    clip_profile: ClipProfile, inference: OnnxInference, embeddings: dict[str, NDArray[np.float32]]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        embedder = ImageEmbedder(clip_profile.get("clip_image"), inference, pool, LIMITS)
        found = np.stack([(await embedder.embed(path.read_bytes())).embedding for path in PHOTO_FILES])
    cosines = (found * embeddings["photos"]).sum(1)
    assert cosines.min() >= 0.9999, cosines


async def test_the_same_text_gives_the_same_embedding(
    clip_profile: ClipProfile, inference: OnnxInference, embeddings: dict[str, NDArray[np.float32]]
) -> None:
    embedder = TextEmbedder(clip_profile.get("clip_text"), inference)
    texts = [entry["text"] for entry in GOLDENS["sample"]]
    together = await embedder.embed(texts)
    np.testing.assert_allclose(together, embeddings["texts"], atol=1e-4)
    for row, text in enumerate(texts):
        np.testing.assert_allclose((await embedder.embed([text]))[0], together[row], atol=1e-5)


def shapes() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(4)
    sides = [(480, 640), (1000, 333), (224, 224), (100, 150), (225, 3000), (301, 299)]
    coarse = [random.integers(0, 256, (max(2, h // 9), max(2, w // 9), 3)).astype(np.uint8) for h, w in sides]
    return [
        np.asarray(Image.fromarray(small).resize((w, h), Image.Resampling.BILINEAR))
        for small, (h, w) in zip(coarse, sides, strict=True)
    ]


@pytest.mark.parametrize("source", [*PHOTO_FILES, *range(6)], ids=lambda source: getattr(source, "name", str(source)))
def test_preprocessing_is_within_two_levels_of_pillow(clip_profile: ClipProfile, source: Path | int) -> None:
    """Shorter side to 224, bicubic with antialiasing, centre crop: what CLIP's own transform does."""
    if isinstance(source, Path):
        data = source.read_bytes()
        image, pixels = Image.open(io.BytesIO(data)).convert("RGB"), decode(data, LIMITS)
    else:
        pixels = shapes()[source]
        image = Image.fromarray(pixels)
    width, height = image.size
    short = min(width, height)
    resized = image.resize((224 * width // short, 224 * height // short), Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2) for side in resized.size)
    wanted = np.asarray(resized.crop((left, top, left + 224, top + 224))).astype(int)
    found = prepare_image(pixels, clip_profile.get("clip_image").image_inputs).tensors["image"][0]
    assert np.abs(found - wanted).max() <= 2
