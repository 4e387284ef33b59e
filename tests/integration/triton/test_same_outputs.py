"""What Triton answers is what the same graph answers in this process."""

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.photos import skimage_photo

from kindred_embedder.texts import TextEmbedder
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.models import ModelManifest, ModelSet, prepare_image
from kindred_kit.ports.inference import Inference

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
TEXTS = ["a cat", "snow", "two people ride bicycles along a river in the evening " * 9, "снег", "🚲", "a cup of coffee"]
LIMITS = ImageLimits(50_000_000, 120_000_000)


def pixels(model: ModelManifest) -> dict[str, NDArray[Any]]:
    prepared = [prepare_image(decode(skimage_photo(name), LIMITS), model.image_inputs).tensors for name in PHOTOS]
    return {name: np.concatenate([tensors[name] for tensors in prepared]) for name in prepared[0]}


def assert_same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    assert set(one) == set(other)
    for name in one:
        assert (one[name].dtype, one[name].shape) == (other[name].dtype, other[name].shape)
        np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("count", [1, 3, 5])
async def test_images(models: ModelSet, triton: Inference, in_process: Inference, count: int) -> None:
    batch = {name: value[:count] for name, value in pixels(models.get("lite_image")).items()}
    assert_same(await triton.infer("lite_image", batch), await in_process.infer("lite_image", batch))


async def test_texts(models: ModelSet, triton: Inference, in_process: Inference) -> None:
    text = models.get("lite_text")
    on_triton, here = TextEmbedder(text, triton), TextEmbedder(text, in_process)
    np.testing.assert_allclose(await on_triton.embed(TEXTS), await here.embed(TEXTS), atol=1e-5)


async def test_a_burst_of_texts_shares_batches_and_changes_no_embedding(models: ModelSet, triton: Inference) -> None:
    """Texts of a few words have one length; each request is one text, as queries come."""
    from tritonclient.grpc.aio import InferenceServerClient

    texts = [f"{colour} {thing} number {n}" for n in range(8) for colour in ("red", "blue") for thing in ("cat", "cup")]
    embedder = TextEmbedder(models.get("lite_text"), triton)
    async with InferenceServerClient(triton._url) as client:  # type: ignore[attr-defined]
        before = (await client.get_inference_statistics("lite_text")).model_stats[0]
        burst = await asyncio.gather(*(embedder.embed([text]) for text in texts))
        after = (await client.get_inference_statistics("lite_text")).model_stats[0]
    assert after.inference_count - before.inference_count == len(texts)
    assert after.execution_count - before.execution_count < len(texts) / 2
    alone = [await embedder.embed([f"{text}."]) for text in texts[:2]]  # a full stop: past the response cache
    again = await embedder.embed([f"{text}." for text in texts])
    np.testing.assert_allclose(np.concatenate(alone), again[:2], atol=1e-5)
    np.testing.assert_allclose(np.concatenate(burst), await embedder.embed(texts), atol=1e-5)
