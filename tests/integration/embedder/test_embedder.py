"""The embedder on the shipped lite models, through gRPC; its worker against a fake catalogue."""

import hashlib
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from support.fakes import MemoryBlobs, MemoryBus
from support.inference import inference_of
from support.paths import MODELS
from support.photos import encoded, skimage_photo

from kindred.embedder.v1 import embedder_pb2 as pb
from kindred.embedder.v1 import embedder_pb2_grpc
from kindred.events.v1 import events_pb2 as events
from kindred.search.v1 import search_pb2, search_pb2_grpc
from kindred_embedder.app import Adapters, build
from kindred_embedder.images import ImageEmbedder
from kindred_embedder.settings import EmbedderSettings
from kindred_embedder.space import Space
from kindred_embedder.worker import EmbedderWorker
from kindred_kit.errors import (
    ImageChanged,
    ImageMissing,
    ImageTruncated,
    InvalidArgument,
    InvalidRegion,
    KindredError,
    ModelInvalid,
)
from kindred_kit.models import ModelSet
from kindred_kit.ports.inference import Inference
from kindred_kit.rpc import RpcServer, open_channel
from kindred_kit.rpc.server import Registration


class Catalogue(search_pb2_grpc.SearchServiceServicer):
    """Remembers what the worker wrote."""

    def __init__(self) -> None:
        self.derived: list[search_pb2.Derived] = []
        self.failures: list[search_pb2.PutFailureRequest] = []

    async def PutDerived(self, request: search_pb2.PutDerivedRequest, context: Any) -> search_pb2.PutDerivedResponse:
        self.derived += request.images
        return search_pb2.PutDerivedResponse(stale=[False] * len(request.images))

    async def PutFailure(self, request: search_pb2.PutFailureRequest, context: Any) -> search_pb2.PutFailureResponse:
        self.failures.append(request)
        return search_pb2.PutFailureResponse()


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
async def search(tmp_path: Path, catalogue: Catalogue) -> AsyncIterator[grpc.aio.Channel]:
    add = search_pb2_grpc.add_SearchServiceServicer_to_server
    server = RpcServer("search", [Registration("kindred.search.v1.SearchService", catalogue, add)])
    async with open_channel(await server.start(f"unix:{tmp_path}/search.sock")) as channel:
        yield channel
    await server.aclose(timedelta(0))


@pytest.fixture
async def inference() -> AsyncIterator[Inference]:
    async with inference_of(ModelSet.load(MODELS)) as inference:
        yield inference


@pytest.fixture
async def embedder(
    tmp_path: Path, blobs: MemoryBlobs, inference: Inference, search: grpc.aio.Channel
) -> AsyncIterator[embedder_pb2_grpc.EmbedderServiceStub]:
    app = await build(EmbedderSettings(), Adapters(inference, ModelSet.load(MODELS), blobs, MemoryBus(), search))
    server = RpcServer("embedder", app.registrations)
    async with open_channel(await server.start(f"unix:{tmp_path}/embedder.sock")) as channel:
        yield embedder_pb2_grpc.EmbedderServiceStub(channel)
    await server.aclose(timedelta(0))
    await app.aclose()


def vector(embedding: pb.Embedding) -> NDArray[np.float32]:
    return np.frombuffer(embedding.values, "<f4")


async def test_text_and_image_meet_in_one_space(embedder: Any) -> None:
    names = ["astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png"]
    texts = ["an astronaut in a space suit", "a cup of coffee on a table", "a rocket at its launch pad", "a cat"]
    answer = await embedder.EmbedText(pb.EmbedTextRequest(texts=texts))
    images = [await embedder.EmbedImage(pb.EmbedImageRequest(data=skimage_photo(name))) for name in names]
    info = await embedder.GetInfo(pb.GetInfoRequest())
    assert {answer.space, info.space, *(image.space for image in images)} == {info.space}
    t = np.stack([vector(e) for e in answer.embeddings])
    i = np.stack([vector(image.embedding) for image in images])
    assert t.shape == i.shape == (4, info.dimension)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([t, i]), axis=1), 1, atol=1e-5)
    assert (t @ i.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


async def test_a_text_alone_equals_the_same_in_any_batch(embedder: Any) -> None:
    texts = ["a dog", "two people ride bicycles along a river in the evening " * 3, "x", "снег", "🚲 bike"]
    together = await embedder.EmbedText(pb.EmbedTextRequest(texts=texts))
    for text, batched in zip(texts, together.embeddings, strict=True):
        alone = await embedder.EmbedText(pb.EmbedTextRequest(texts=[text]))
        np.testing.assert_allclose(vector(alone.embeddings[0]), vector(batched), atol=1e-5)


async def test_a_pass_finds_the_cat_too(embedder: Any) -> None:
    answer = await embedder.EmbedImage(pb.EmbedImageRequest(data=skimage_photo("chelsea.png")))
    assert [d.class_name for d in answer.detections].count("cat") == 1
    assert answer.detections[0].class_name == "cat"
    assert (answer.width, answer.height) == (451, 300)


async def test_the_same_pixels_in_any_orientation_embed_alike(embedder: Any) -> None:
    upright = Image.open(io.BytesIO(skimage_photo("chelsea.png"))).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif.tobytes())
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(turned))).size == upright.size
    one = await embedder.EmbedImage(pb.EmbedImageRequest(data=encoded(upright, "PNG")))
    other = await embedder.EmbedImage(pb.EmbedImageRequest(data=turned))
    np.testing.assert_allclose(vector(one.embedding), vector(other.embedding), atol=1e-5)
    assert (other.width, other.height) == upright.size


async def test_a_region_is_embedded_like_the_cut_image(embedder: Any, blobs: MemoryBlobs) -> None:
    photo = Image.open(io.BytesIO(skimage_photo("astronaut.png"))).convert("RGB")
    await blobs.put("uploads/u1", encoded(photo, "PNG"))
    region = pb.Region(x=0.25, y=0.0, w=0.5, h=0.5)
    by_key = await embedder.EmbedImage(pb.EmbedImageRequest(blob_key="uploads/u1", region=region))
    cut = await embedder.EmbedImage(pb.EmbedImageRequest(data=encoded(photo.crop((128, 0, 384, 256)), "PNG")))
    np.testing.assert_allclose(vector(by_key.embedding), vector(cut.embedding), atol=1e-5)


async def test_what_can_not_be_embedded_says_why(embedder: Any) -> None:
    photo = skimage_photo("rocket.jpg")
    with pytest.raises(ImageTruncated):
        await embedder.EmbedImage(pb.EmbedImageRequest(data=photo[: len(photo) // 2]))
    with pytest.raises(InvalidRegion):
        await embedder.EmbedImage(pb.EmbedImageRequest(data=photo, region=pb.Region(x=0.9, y=0, w=0.5, h=1)))
    for texts in ([], [""], ["  \n"], ["x"] * 65, ["x" * 10_001]):
        with pytest.raises(InvalidArgument):
            await embedder.EmbedText(pb.EmbedTextRequest(texts=texts))


class WorkerBench:
    """A worker on real models with one accepted photo."""

    def __init__(self, search: grpc.aio.Channel, inference: Inference, blobs: MemoryBlobs) -> None:
        from concurrent.futures import ThreadPoolExecutor

        space = Space.of_profile(ModelSet.load(MODELS), "lite")
        images = ImageEmbedder(space.image, inference, ThreadPoolExecutor(1), EmbedderSettings().limits)
        stub: Any = search_pb2_grpc.SearchServiceStub(search)
        self.worker = EmbedderWorker(space, images, blobs, stub, thumb_side_px=320, concurrency=4)
        self.photo = skimage_photo("chelsea.png")
        self.image_id = hashlib.sha256(self.photo).hexdigest()

    def event(self, kind: events.ImageEvent.Kind.ValueType = events.ImageEvent.KIND_INGESTED) -> events.ImageEvent:
        return events.ImageEvent(kind=kind, image_id=self.image_id, seq=7, blob_key="images/photo")


@pytest.fixture
def bench(search: grpc.aio.Channel, inference: Inference, blobs: MemoryBlobs) -> WorkerBench:
    return WorkerBench(search, inference, blobs)


async def test_the_worker_writes_embedding_labels_and_thumb(
    bench: WorkerBench, blobs: MemoryBlobs, catalogue: Catalogue
) -> None:
    await blobs.put("images/photo", bench.photo)
    await bench.worker.handle(bench.event())
    [derived] = catalogue.derived
    assert (derived.image_id, derived.seq) == (bench.image_id, 7)
    assert len(derived.embeddings[0].embedding.values) == 768 * 4
    assert derived.embeddings[0].view == "whole"
    assert derived.labels[0].label_set == "coco-80"
    assert derived.labels[0].detections[0].class_name == "cat"
    thumb = Image.open(io.BytesIO(await blobs.get(derived.thumb_key)))
    assert max(thumb.size) == 320


@pytest.mark.parametrize(("stored", "error"), [(None, ImageMissing), (b"other bytes", ImageChanged)])
async def test_bytes_that_are_not_the_accepted_ones_are_refused(
    bench: WorkerBench, blobs: MemoryBlobs, catalogue: Catalogue, stored: bytes | None, error: type[KindredError]
) -> None:
    if stored is not None:
        await blobs.put("images/photo", stored)
    with pytest.raises(error):
        await bench.worker.handle(bench.event())
    assert catalogue.derived == []
    await bench.worker.on_poison(bench.event(), error("reason"))
    assert catalogue.failures[0].failure.code == error.code


async def test_a_deletion_computes_nothing(bench: WorkerBench, catalogue: Catalogue) -> None:
    await bench.worker.handle(bench.event(events.ImageEvent.KIND_DELETED))
    assert catalogue.derived == []


def test_towers_of_two_spaces_are_refused(tmp_path: Path) -> None:
    for name in ("lite_image", "lite_text"):
        (tmp_path / name).mkdir()
        text = (MODELS / name / "model.yaml").read_text()
        if name == "lite_text":
            text = text.replace("space: lite-1", "space: other-1")
        (tmp_path / name / "model.yaml").write_text(text)
    with pytest.raises(ModelInvalid, match="other-1"):
        Space.of_profile(ModelSet.load(tmp_path), "lite")
