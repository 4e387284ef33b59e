"""Photos through the lite model's own code, without a gallery: for benchmarks of what is built on embeddings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from benchmarks.gallery import ROOT
from kindred_embedder.images import EmbeddedImage, ImageEmbedder
from kindred_embedder.settings import EmbedderSettings
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.cores import available_cores
from kindred_kit.models import ModelSet

_THUMB_SIDE_PX = EmbedderSettings.model_fields["thumb_side_px"].default


@asynccontextmanager
async def open_embedder() -> AsyncIterator[ImageEmbedder]:
    """The committed image model on all cores."""
    model = ModelSet.load(ROOT / "triton_models").of_kind("lite", "image_pipeline")
    inference = OnnxInference({model.name: model.onnx_path})
    with ThreadPoolExecutor(available_cores()) as pool:
        yield ImageEmbedder(model, inference, pool, EmbedderSettings().limits)
    await inference.aclose()


async def embed(
    embedder: ImageEmbedder, images: Iterable[bytes], progress: Callable[[int], None] = lambda done: None
) -> tuple[NDArray[np.float32], Sequence[bytes]]:
    """Encoded images -> embeddings [n, d] and thumbnails as the service makes them, in order.

    `images` may be a generator: a few are in memory at a time.
    """
    slots = asyncio.Semaphore(3 * available_cores())
    done = 0

    async def one(data: bytes) -> EmbeddedImage:
        nonlocal done
        try:
            return await embedder.embed(data, thumb_side_px=_THUMB_SIDE_PX)
        finally:
            done += 1
            progress(done)
            slots.release()

    tasks = []
    for data in images:
        await slots.acquire()
        tasks.append(asyncio.create_task(one(data)))
    embedded = await asyncio.gather(*tasks)
    return np.stack([image.embedding for image in embedded]), [image.thumb for image in embedded]
