"""Composition of the embedder."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc

from kindred.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from kindred.search.v1 import search_pb2_grpc
from kindred_embedder.backlog import EmbeddingBacklog
from kindred_embedder.images import ImageEmbedder
from kindred_embedder.servicer import EmbedderServicer
from kindred_embedder.settings import EmbedderSettings
from kindred_embedder.space import Space
from kindred_embedder.texts import TextEmbedder
from kindred_embedder.worker import GROUP, EmbedderWorker
from kindred_kit.cores import available_cores
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.models import ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.ports.inference import Inference, all_ready
from kindred_kit.rpc.server import Registration
from kindred_kit.worker import Worker, WorkerSettings


@dataclass(frozen=True)
class Adapters:
    """What the embedder needs from outside. `search` is a channel to the search service, for the worker's writes."""

    inference: Inference
    models: ModelSet
    blobs: BlobStore
    bus: Bus
    search: grpc.aio.Channel


class EmbedderApp:
    """`registrations` are served by the caller; `start` begins the worker."""

    def __init__(self, registrations: Sequence[Registration], worker: Worker, pool: ThreadPoolExecutor) -> None:
        self.registrations = registrations
        self._worker = worker
        self._pool = pool
        self._tasks = BackgroundTasks("embedder")

    async def start(self) -> None:
        self._tasks.start(self._worker.run(), "embedder-worker")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        self._pool.shutdown(cancel_futures=True)


async def build(settings: EmbedderSettings, adapters: Adapters) -> EmbedderApp:
    """Raises ModelInvalid when the profile's models are missing or do not belong together."""
    space = Space.of_profile(adapters.models, settings.profile)
    cores = settings.cores or available_cores()
    pool = ThreadPoolExecutor(cores, thread_name_prefix="pixels")
    images = ImageEmbedder(space.image, adapters.inference, pool, settings.limits)
    search = search_pb2_grpc.SearchServiceStub(adapters.search)
    # while one image of each core computes, another is being decoded and two more are ready or about to be
    in_memory = 4 * cores
    at_once = in_memory + 2 * GROUP  # a group waits to be written, and the next one begins to
    worker = EmbedderWorker(space, images, adapters.blobs, search, settings.thumb_side_px, concurrency=in_memory)
    backlog = EmbeddingBacklog(worker, space.name, search, at_once)
    texts = TextEmbedder(space.text, adapters.inference)
    servicer = EmbedderServicer(settings, space, images, texts, adapters.blobs, backlog)
    loop = Worker(
        WorkerSettings(settings.topic, settings.group, concurrency=at_once),
        adapters.bus,
        worker.handle,
        worker.on_poison,
    )
    name = embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
    registration = Registration(
        name,
        servicer,
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server,
        lambda: all_ready(adapters.inference, (space.image.name, space.text.name)),
    )
    return EmbedderApp([registration], loop, pool)
