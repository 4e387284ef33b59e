"""The search service with its real parts (SQLite, LanceDB, SQLite bus, folder of blobs), called over gRPC."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.detector.v1 import detector_pb2
from kindred.embedder.v1 import embedder_pb2
from kindred.events.v1 import events_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_kit.adapters.file_references import FileReferences
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.embeddings import embedding_message
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.rpc import RpcServer, open_channel
from kindred_search.app import Adapters, App, build
from kindred_search.catalogue.engine import open_engine
from kindred_search.settings import SearchSettings
from kindred_search.vectors.lancedb_store import LanceDbStore, Tuning
from kindred_search.vectors.port import VectorStore
from support.databases import database_url

DIMENSION = 16
SPACE = "test/1"
COCO = ["person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "dog"]
Boxes = Sequence[tuple[str, float]]


def image_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def unit(values: NDArray[Any]) -> NDArray[np.float32]:
    return (values / np.linalg.norm(values)).astype(np.float32)


def vector(name: str) -> NDArray[np.float32]:
    """The vector of this name: always the same, far from the others."""
    seed = int(image_id(name)[:8], 16)
    return unit(np.random.default_rng(seed).standard_normal(DIMENSION))


def embedding(values: NDArray[np.float32]) -> embedder_pb2.Embedding:
    return embedding_message(values)


def new_image(name: str, **changes: Any) -> pb.NewImage:
    """An image whose bytes are its name."""
    license_id = changes.pop("license", "cc0")
    visibility = changes.pop("visibility", pb.VISIBILITY_PUBLIC)
    claim = pb.Claim(
        rights=pb.Rights(license=license_id, creator=changes.pop("creator", "")),
        visibility=visibility,
        source=changes.pop("source", ""),
        file_name=changes.pop("file_name", f"{name}.jpg"),
    )
    ident = image_id(name)
    values = {
        "blob_key": f"images/{ident[:2]}/{ident}",
        "byte_size": len(name),
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "origin": "photo",
    }
    return pb.NewImage(image_id=ident, claim=claim, **{**values, **changes})


def labels(boxes: Boxes, model_version: str = "1") -> pb.Derived.Labels:
    detections = [
        detector_pb2.Detection(
            box=detector_pb2.Box(x_min=0.1, y_min=0.1, x_max=0.5, y_max=0.5),
            class_id=COCO.index(name),
            class_name=name,
            score=score,
        )
        for name, score in boxes
    ]
    return pb.Derived.Labels(label_set="coco-80", model_name="det", model_version=model_version, detections=detections)


class SearchService:
    """One life of the process on `folder`; `SearchService(folder)` again is the next one."""

    def __init__(
        self,
        folder: Path,
        *,
        tuning: Tuning | None = None,
        settings: Mapping[str, Any] | None = None,
        vectors: VectorStore | None = None,
        bus: Bus | None = None,
        database: Path | None = None,
    ) -> None:
        self.folder = folder
        self._database = database or folder / "catalogue.db"
        self.settings = SearchSettings(
            **{
                "label_sets": {"coco-80": COCO},
                "projector_coalesce": timedelta(0),
                "projector_interval": timedelta(0),
                "projector_poll": timedelta(seconds=0.1),
                "outbox_poll": timedelta(seconds=0.1),
                "reindex_drop_grace": timedelta(0),
                **(settings or {}),
            }
        )
        self.vectors: VectorStore = vectors or LanceDbStore(folder / "vectors", tuning)
        self._bus = bus
        self._stack = AsyncExitStack()
        self.app: App
        self.blobs: BlobStore
        self.bus: Bus
        self.stub: search_pb2_grpc.SearchServiceAsyncStub

    async def __aenter__(self) -> "SearchService":
        await self.build()
        await self.app.start()
        self._stack.push_async_callback(self.app.aclose)
        server = RpcServer("search", self.app.registrations)
        address = await server.start(f"unix:{self.folder}/s.sock")
        self._stack.push_async_callback(server.aclose, timedelta(seconds=1))
        channel = await self._stack.enter_async_context(open_channel(address))
        self.stub = search_pb2_grpc.SearchServiceStub(channel)
        return self

    async def build(self) -> App:
        """Wire it without starting anything: what a test does step by step."""
        engine = open_engine(database_url(self._database))
        self._stack.callback(engine.dispose)
        self._stack.push_async_callback(self.vectors.aclose)
        self.blobs = FileReferences(ObjectBlobStore.local(self.folder / "blobs"))
        self._stack.push_async_callback(self.blobs.aclose)
        self.bus = self._bus or SqliteBus(self.folder / "bus.db")
        self._stack.push_async_callback(self.bus.aclose)
        self.app = await build(self.settings, Adapters(engine, self.vectors, self.blobs, self.bus))
        return self.app

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def accept(self, *images: pb.NewImage, owner: str = "local") -> list[pb.AcceptImagesResponse.Result]:
        """Put the bytes and accept, as the gateway does."""
        for image in images:
            if not image.blob_key.startswith("file:"):
                await self.blobs.put(image.blob_key, image.image_id.encode())
        request = pb.AcceptImagesRequest(principal=pb.Principal(owner=owner), images=images)
        return list((await self.stub.AcceptImages(request)).results)

    async def derive(
        self,
        name: str,
        *,
        seq: int = 1,
        values: NDArray[np.float32] | None = None,
        boxes: Boxes = (),
        thumb: bool = False,
        space: str = SPACE,
    ) -> bool:
        """Write what a worker would; returns whether it was stale."""
        ident = image_id(name)
        thumb_key = f"thumbs/{ident[:2]}/{ident}.jpg" if thumb else ""
        if thumb:
            await self.blobs.put(thumb_key, b"thumb")
        found = pb.Derived.ViewEmbedding(
            view="whole",
            space=space,
            model_name="m",
            model_version="1",
            embedding=embedding(vector(name) if values is None else values),
        )
        request = pb.Derived(image_id=ident, seq=seq, embeddings=[found], labels=[labels(boxes)], thumb_key=thumb_key)
        return (await self.stub.PutDerived(pb.PutDerivedRequest(images=[request]))).stale[0]

    async def add(self, name: str, *, owner: str = "local", boxes: Boxes = (), **changes: Any) -> str:
        """Accept an image and let it become searchable; returns its id."""
        values = changes.pop("values", None)
        await self.accept(new_image(name, **changes), owner=owner)
        await self.derive(name, boxes=boxes, values=values)
        await self.settle()
        return image_id(name)

    async def settle(self) -> None:
        """Until the index knows everything."""
        await self.app.projector.drain()

    async def search(
        self, like: str | NDArray[np.float32], *, owner: str = "local", **fields: Any
    ) -> pb.SearchResponse:
        values = vector(like) if isinstance(like, str) else like
        terms = [pb.Term(embedding=embedding(values), weight=1.0)]
        defaults = {"terms": terms, "space": SPACE, "limit": 10, "query_digest": "q"}
        return await self.stub.Search(pb.SearchRequest(principal=pb.Principal(owner=owner), **{**defaults, **fields}))

    async def ids(self, like: str | NDArray[np.float32], **fields: Any) -> list[str]:
        return [hit.image_id for hit in (await self.search(like, **fields)).hits]

    async def state(self, name: str, owner: str = "local") -> int:
        """The state as this owner sees it; 0 where it sees nothing."""
        request = pb.GetStatesRequest(principal=pb.Principal(owner=owner), image_ids=[image_id(name)])
        states = (await self.stub.GetStates(request)).states
        return states[0].state if states else 0

    async def delete(self, *names: str, owner: str = "local") -> list[str]:
        ids = [image_id(name) for name in names]
        request = pb.DeleteImagesRequest(principal=pb.Principal(owner=owner), image_ids=ids)
        return list((await self.stub.DeleteImages(request)).deleted_ids)

    async def record(self, name: str, owner: str = "local") -> pb.ImageRecord | None:
        request = pb.GetImagesRequest(principal=pb.Principal(owner=owner), image_ids=[image_id(name)])
        found = (await self.stub.GetImages(request)).images
        return found[0] if found else None

    async def status(self, owner: str = "local") -> pb.GetStatusResponse:
        return await self.stub.GetStatus(pb.GetStatusRequest(principal=pb.Principal(owner=owner)))

    async def published(self) -> list[events_pb2.ImageEvent]:
        """All events on the bus so far, after the relay has published what waits."""
        await self.app.relay.drain()
        consumer = await self.bus.consumer("images.v1", "test-reader")
        found: list[events_pb2.ImageEvent] = []
        while batch := await consumer.poll(500, 0.2):
            found += [events_pb2.ImageEvent.FromString(message.payload) for message in batch]
        await consumer.aclose()
        return found


async def eventually(condition: Any) -> None:
    """Wait until `await condition()` holds; the test's own timeout bounds it."""
    while not await condition():
        await asyncio.sleep(0.02)
