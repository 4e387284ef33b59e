"""The data set service over the real search service, with an embedder whose vectors a test chooses."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.datasets.v1 import datasets_pb2_grpc
from kindred.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from kindred.search.v1 import search_pb2
from kindred_datasets.app import Adapters, App, build
from kindred_datasets.settings import DatasetSettings
from kindred_kit.adapters.file_references import reference_key
from kindred_kit.adapters.sql import open_engine
from kindred_kit.imaging import ImageLimits, probe
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.rpc import RpcServer, open_channel
from kindred_kit.rpc.server import Registration
from support.databases import database_url
from support.photos import noise_jpeg
from support.search_service import SPACE, SearchService, embedding, labels, unit

DIMENSION = 16


@dataclass(frozen=True)
class Photo:
    """What a test put into the gallery."""

    image_id: str
    data: bytes
    vector: NDArray[np.float32]


class ChosenEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Vectors by bytes and region; bytes that nobody named get a vector of their hash, broken ones an error."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.vectors: dict[tuple[str, tuple[float, ...]], NDArray[np.float32]] = {}
        self.space = SPACE
        self.space_after: dict[int, str] = {}
        """After so many calls another space."""
        self.calls = 0
        self.delay_s = 0.0
        self.error: Exception | None = None

    async def EmbedImage(self, request: Any, context: Any) -> Any:
        space = self.space
        self.calls += 1
        self.space = self.space_after.get(self.calls, self.space)
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        data = await self._blobs.get(request.blob_key)
        probe(data, ImageLimits())
        digest = hashlib.sha256(data).hexdigest()
        region = request.region
        place = tuple(round(side, 3) for side in (region.x, region.y, region.w, region.h)) if region.w else ()
        found = self.vectors.get((digest, place))
        if found is None:
            seed = int(hashlib.sha256(f"{digest}{place}".encode()).hexdigest()[:8], 16)
            found = unit(np.random.default_rng(seed).standard_normal(DIMENSION))
        return embedder_pb2.EmbedImageResponse(embedding=embedding(found), space=space)


class DatasetService:
    """One life of both services on `folder`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = DatasetSettings(
            **{
                "datasets_work_dir": folder / "work",
                "datasets_replica": "test",
                "dataset_poll": timedelta(milliseconds=20),
                "dataset_lease": timedelta(seconds=2),
                **settings,
            }
        )
        self.search = SearchService(folder)
        self.app: App
        self.embedder: ChosenEmbedder
        self.stub: datasets_pb2_grpc.DatasetServiceAsyncStub
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "DatasetService":
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._stack.enter_async_context(self.search)
        self.blobs = self.search.blobs
        self.embedder = ChosenEmbedder(self.blobs)
        embedder = Registration("e", self.embedder, embedder_pb2_grpc.add_EmbedderServiceServicer_to_server)
        engine = open_engine(database_url(self.folder / "datasets.db"))
        self._stack.callback(engine.dispose)
        channels = [
            await self._stack.enter_async_context(open_channel(address))
            for address in (await self._serve("e", [embedder]), f"unix:{self.folder}/s.sock")
        ]
        self.app = await build(self.settings, Adapters(engine, self.blobs, *channels))
        await self.app.start()
        self._stack.push_async_callback(self.app.aclose)
        channel = await self._stack.enter_async_context(open_channel(await self._serve("d", self.app.registrations)))
        self.stub = datasets_pb2_grpc.DatasetServiceStub(channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _serve(self, name: str, registrations: Sequence[Registration]) -> str:
        server = RpcServer(name, registrations)
        address = await server.start(f"unix:{self.folder}/{name}.sock")
        self._stack.push_async_callback(server.aclose, timedelta(seconds=1))
        return address

    async def photo(
        self,
        seed: int,
        vector: NDArray[Any],
        *,
        owner: str = "local",
        boxes: Sequence[tuple[str, float]] = (),
        license: str = "cc0",  # noqa: A002
        private: bool = False,
        data: bytes | None = None,
    ) -> Photo:
        """Put a photo of seeded noise with this embedding into the gallery."""
        data = noise_jpeg(seed) if data is None else data
        image_id = hashlib.sha256(data).hexdigest()
        info = probe(data, ImageLimits())
        key = f"images/{image_id[:2]}/{image_id}"
        await self.blobs.put(key, data)
        claim = search_pb2.Claim(
            rights=search_pb2.Rights(license=license),
            visibility=search_pb2.VISIBILITY_PRIVATE if private else search_pb2.VISIBILITY_PUBLIC,
            file_name=f"{seed}.jpg",
        )
        image = search_pb2.NewImage(
            image_id=image_id,
            blob_key=key,
            byte_size=len(data),
            width=info.width,
            height=info.height,
            format=info.format,
            origin="photo",
            claim=claim,
        )
        principal = search_pb2.Principal(owner=owner)
        await self.search.stub.AcceptImages(search_pb2.AcceptImagesRequest(principal=principal, images=[image]))
        values = unit(np.asarray(vector))
        found = search_pb2.Derived.ViewEmbedding(
            view="whole", space=SPACE, model_name="m", model_version="1", embedding=embedding(values)
        )
        derived = search_pb2.Derived(image_id=image_id, seq=1, embeddings=[found], labels=[labels(boxes)])
        await self.search.stub.PutDerived(search_pb2.PutDerivedRequest(images=[derived]))
        self.embedder.vectors[image_id, ()] = values
        return Photo(image_id, data, values)

    async def given(self, data: bytes, name: str, vector: NDArray[Any] | None = None) -> pb.GivenImage:
        """A file of the user's own beside the gallery."""
        path = self.folder / f"given-{name}"
        path.write_bytes(data)
        if vector is not None:
            self.embedder.vectors[hashlib.sha256(data).hexdigest(), ()] = unit(np.asarray(vector))
        return pb.GivenImage(blob_key=reference_key(path), name=name)

    async def create(self, *, owner: str = "local", key: str = "", **spec: Any) -> pb.Dataset:
        """Settle the index, then order."""
        await self.search.settle()
        request = pb.CreateDatasetRequest(
            principal=search_pb2.Principal(owner=owner), idempotency_key=key, spec=pb.DatasetSpec(**spec)
        )
        return await self.stub.CreateDataset(request)

    async def get(self, dataset_id: str, owner: str = "local") -> pb.Dataset:
        request = pb.GetDatasetRequest(principal=search_pb2.Principal(owner=owner), dataset_id=dataset_id)
        return await self.stub.GetDataset(request)

    async def ended(self, dataset_id: str, owner: str = "local") -> pb.Dataset:
        """The data set once it is done or has failed; the test's own timeout bounds the wait."""
        while True:
            found = await self.get(dataset_id, owner)
            if found.state in {pb.DATASET_STATE_DONE, pb.DATASET_STATE_FAILED}:
                return found
            await asyncio.sleep(0.02)

    async def build(self, *, owner: str = "local", **spec: Any) -> tuple[pb.Dataset, Mapping[str, Any]]:
        """Order and wait: the data set and its manifest (empty for one that failed)."""
        made = await self.create(owner=owner, **spec)
        ended = await self.ended(made.dataset_id, owner)
        return ended, await self.manifest(ended) if ended.archive_key else {}

    async def manifest(self, dataset: pb.Dataset) -> Mapping[str, Any]:
        return dict(json.loads((await self.archive(dataset)).read("manifest.json")))

    async def archive(self, dataset: pb.Dataset) -> zipfile.ZipFile:
        data = await self.blobs.get(dataset.archive_key)
        assert hashlib.sha256(data).hexdigest() == dataset.archive_sha256
        return zipfile.ZipFile(io.BytesIO(data))


def images_of(manifest: Mapping[str, Any]) -> list[str]:
    """Ids of the images in the data set, in the order of its files."""
    return [entry["image_id"] for entry in manifest["files"] if "image_id" in entry]


def direction(*values: float) -> NDArray[np.float32]:
    """A vector with these first components."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[: len(values)] = values
    return vector


def term(vector: NDArray[Any]) -> search_pb2.Term:
    return search_pb2.Term(embedding=embedding(unit(np.asarray(vector))), weight=1)
