"""A CLIP with seeded random weights, prepared like a pulled one and served by Triton.

`make test-triton` takes the exact shape of ViT-B/32 (half a minute), `make test` one in small.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from support.clip_weights import TINY, VIT_B_32
from support.photos import skimage_photo
from support.pulled_models import pulled
from support.tiny_clip import tiny_clip
from support.triton_server import require_triton, triton_server

from kindred_embedder.settings import EmbedderSettings
from kindred_embedder.texts import TextEmbedder
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.adapters.triton_inference import TritonInference, TritonLimits
from kindred_kit.graphs.prepare import make_ready
from kindred_kit.imaging import decode
from kindred_kit.models import ModelManifest, prepare_image
from kindred_kit.ports.inference import Inference
from kindred_kit.triton import write_model

PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg")
TEXTS = ["a photo of a cat", "снег 🚲", "tokens without end " * 2000, "x", "a cup of coffee", "a rocket"]
Both = tuple[Inference, Inference]


@pytest.fixture(scope="module")
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelManifest]:
    """clip_image and clip_text, ready to serve."""
    require_triton()
    root = tmp_path_factory.mktemp("clip")
    shape = VIT_B_32 if request.config.getoption("--inference") == "triton" else TINY
    repository, files = tiny_clip(root, shape=shape)
    manifests = {name: pulled(repository / name, file, root / "store") for name, file in files.items()}
    for manifest in manifests.values():
        make_ready(manifest)
    return manifests


@pytest.fixture
async def both(clip: dict[str, ModelManifest], tmp_path: Path) -> AsyncIterator[Both]:
    """The models on Triton and in this process."""
    for manifest in clip.values():
        write_model(manifest, "python", tmp_path / "repository")
    with triton_server(tmp_path / "repository", tmp_path / "log") as server:
        spaces = {name: manifest.space for name, manifest in clip.items()}
        triton = TritonInference(server.url, spaces, TritonLimits(deadline_s=120))
        here = OnnxInference({name: manifest.onnx_path for name, manifest in clip.items()})
        yield triton, here
        await triton.aclose()
        await here.aclose()


async def test_it_embeds_as_in_process(clip: dict[str, ModelManifest], both: Both) -> None:
    limits = EmbedderSettings().limits
    pixels = [prepare_image(decode(skimage_photo(name), limits), clip["clip_image"].image_inputs) for name in PHOTOS]
    images = {name: np.concatenate([one.tensors[name] for one in pixels]) for name in pixels[0].tensors}
    on_triton, here = [await inference.infer("clip_image", images) for inference in both]
    np.testing.assert_allclose(on_triton["embedding"], here["embedding"], atol=1e-5)
    alone = await both[0].infer("clip_image", {name: value[:1] for name, value in images.items()})
    np.testing.assert_allclose(alone["embedding"], on_triton["embedding"][:1], atol=1e-5)

    texts_on_triton, texts_here = [TextEmbedder(clip["clip_text"], inference) for inference in both]
    together = await texts_here.embed(TEXTS)
    np.testing.assert_allclose(await texts_on_triton.embed(TEXTS), together, atol=1e-5)
    burst = await asyncio.gather(*(texts_on_triton.embed([text]) for text in TEXTS))
    np.testing.assert_allclose(np.concatenate(burst), together, atol=1e-5)


def test_a_plan_of_it_is_ordered_with_a_graph_of_its_own(clip: dict[str, ModelManifest], tmp_path: Path) -> None:
    written = write_model(clip["clip_image"], "tensorrt", tmp_path)
    order = json.loads((written.folder / "plan.json").read_text())
    assert order["onnx"] == "1/tensorrt.onnx"
    assert (written.folder / order["onnx"]).is_file()
    assert order["shapes"]["max"] == {"image": [64, *clip["clip_image"].raw["inputs"][0]["shape"][1:]]}
    assert "onnxruntime_onnx" in (written.folder / "configs" / "onnxruntime.pbtxt").read_text()
