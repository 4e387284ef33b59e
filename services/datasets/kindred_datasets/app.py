"""Composition of the data set service."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from sqlalchemy import Engine

from kindred.datasets.v1 import datasets_pb2, datasets_pb2_grpc
from kindred.embedder.v1 import embedder_pb2_grpc
from kindred.search.v1 import search_pb2_grpc
from kindred_datasets.builder import Builder
from kindred_datasets.gallery import Gallery
from kindred_datasets.servicer import DatasetServicer
from kindred_datasets.settings import DatasetSettings
from kindred_datasets.sweeping import Sweeper
from kindred_kit.adapters.sql import Database
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.rpc.server import Registration

MIGRATIONS = "kindred_datasets.store.migrations"


@dataclass(frozen=True)
class Adapters:
    """What the service needs from outside; whoever made them closes them. `embedder` and `search` are channels."""

    engine: Engine
    blobs: BlobStore
    embedder: grpc.aio.Channel
    search: grpc.aio.Channel


@dataclass
class App:
    registrations: Sequence[Registration]
    store: Database
    builders: Sequence[Builder]
    sweeper: Sweeper
    tasks: BackgroundTasks

    async def start(self) -> None:
        """Bring the schema up to date, go on with what is unfinished."""
        await self.store.open()
        for number, builder in enumerate(self.builders):
            self.tasks.start(builder.run(), f"builder-{number}")
        self.tasks.start(self.sweeper.run(), "dataset-sweeper")

    async def aclose(self) -> None:
        """What is being built waits in the database for the next start."""
        await self.tasks.aclose()
        await self.store.aclose()


async def build(settings: DatasetSettings, adapters: Adapters) -> App:
    """Wire the service together; nothing runs before `start`."""
    store = Database(adapters.engine, MIGRATIONS)
    search = search_pb2_grpc.SearchServiceStub(adapters.search)
    embedder = embedder_pb2_grpc.EmbedderServiceStub(adapters.embedder)

    def gallery_of(owner: str) -> Gallery:
        return Gallery(search, embedder, owner)

    replica = settings.datasets_replica or f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
    builders = [
        Builder(f"{replica}/{number}", store, gallery_of, adapters.blobs, settings)
        for number in range(settings.dataset_builds)
    ]

    def wake() -> None:
        for builder in builders:
            builder.wake()

    sweeper = Sweeper(store, adapters.blobs, settings.datasets_work_dir, settings.dataset_sweep)
    servicer = DatasetServicer(store, gallery_of, sweeper, wake)
    name = datasets_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name
    registration = Registration(name, servicer, datasets_pb2_grpc.add_DatasetServiceServicer_to_server)
    return App([registration], store, builders, sweeper, BackgroundTasks("datasets"))
