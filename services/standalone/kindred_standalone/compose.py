"""The five services in one process, over real gRPC on Unix sockets.

Serialisation, deadlines, interceptors and status codes are those of a cluster; only the adapters differ.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import grpc
from sqlalchemy import Engine

import kindred_datasets.app
import kindred_detector.app
import kindred_embedder.app
import kindred_gateway.app
import kindred_search.app
from kindred_datasets.settings import BUILD_DEADLINE, DatasetSettings
from kindred_detector.settings import DetectorSettings
from kindred_embedder.settings import EmbedderSettings
from kindred_embedder.space import Space
from kindred_gateway.settings import GatewaySettings
from kindred_kit.adapters.file_references import FileReferences
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.adapters.sql import open_engine
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import SpaceMismatch
from kindred_kit.memory import leave_out_of_collections, return_freed_memory
from kindred_kit.models import ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.ports.inference import Inference
from kindred_kit.rpc import RpcServer, open_channel
from kindred_kit.rpc.client import DEFAULT_DEADLINE
from kindred_kit.rpc.server import Registration
from kindred_search.domain import Collection
from kindred_search.settings import SearchSettings
from kindred_search.vectors.lancedb_store import LanceDbStore
from kindred_search.vectors.port import VectorStore
from kindred_standalone.datadir import DataDirectory, OwnerInfo, Ownership
from kindred_standalone.http_server import HttpServer, unix_listener
from kindred_standalone.listening import url_of
from kindred_standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Adapters:
    """Everything that the services need from outside, made once and shared."""

    engine: Engine
    datasets_engine: Engine
    vectors: VectorStore
    bus: Bus
    blobs: BlobStore
    inference: Inference
    models: ModelSet


Wrap = Callable[[Adapters], Adapters]
"""Puts something of a test's own around adapters (`dataclasses.replace`)."""


class _App(Protocol):
    @property
    def start(self) -> Callable[[], Awaitable[None]]: ...

    @property
    def aclose(self) -> Callable[[], Awaitable[None]]: ...


class Standalone:
    """The services of one data directory, from `async with` to its end. Owns the directory and gives it up.

    `listener` is a bound TCP socket for the HTTP API; without it the gateway answers on its Unix socket alone.
    `any_space`: also where the models embed into another space than the gallery's, to bring it over.
    """

    def __init__(
        self,
        ownership: Ownership,
        settings: StandaloneSettings,
        wrap: Wrap | None = None,
        *,
        listener: socket.socket | None = None,
        any_space: bool = False,
    ) -> None:
        self._ownership = ownership
        self._settings = settings
        self._wrap = wrap or (lambda adapters: adapters)
        self._listener = listener
        self._any_space = any_space
        self._stack = AsyncExitStack()

    @property
    def info(self) -> OwnerInfo:
        """Where the services answer."""
        return self._ownership.info

    async def __aenter__(self) -> Standalone:
        return_freed_memory()
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # New clients wait for the next owner instead of finding sockets that are about to close.
        self._ownership.retract()
        await self._stack.aclose()

    async def _start(self) -> None:
        # Ends happen in the reverse order of these starts: HTTP first, then the workers, the stores, the lock last.
        self._stack.callback(self._ownership.release)
        adapters = self._wrap(await self._adapters(self._ownership.directory))

        search = await kindred_search.app.build(
            SearchSettings(
                label_sets=adapters.models.label_sets,
                calibrations_dir=self._ownership.directory.calibrations,
                calibration_files=adapters.models.calibration_files,
            ),
            kindred_search.app.Adapters(adapters.engine, adapters.vectors, adapters.blobs, adapters.bus),
        )
        await self._run(search)
        self._check_space(search.indexes.active, adapters.models)
        await self._serve("search", search.registrations)
        search_channel = await self._channel("search")

        embedder = await kindred_embedder.app.build(
            EmbedderSettings(profile=self._settings.profile),
            kindred_embedder.app.Adapters(
                adapters.inference, adapters.models, adapters.blobs, adapters.bus, search_channel
            ),
        )
        await self._run(embedder)
        await self._serve("embedder", embedder.registrations)

        detector = await kindred_detector.app.build(
            DetectorSettings(profile=self._settings.profile),
            kindred_detector.app.Adapters(
                adapters.inference, adapters.models, adapters.blobs, adapters.bus, search_channel
            ),
        )
        await self._run(detector)
        await self._serve("detector", detector.registrations)

        datasets = await kindred_datasets.app.build(
            # the directory has one owner: what an earlier one left is taken up at once
            DatasetSettings(datasets_work_dir=self._ownership.directory.work, datasets_replica="standalone"),
            kindred_datasets.app.Adapters(
                adapters.datasets_engine,
                adapters.blobs,
                embedder=await self._channel("embedder", BUILD_DEADLINE),
                search=await self._channel("search", BUILD_DEADLINE),
            ),
        )
        await self._run(datasets)
        await self._serve("datasets", datasets.registrations)

        gateway = await kindred_gateway.app.build(
            GatewaySettings(),
            kindred_gateway.app.Adapters(
                embedder=await self._channel("embedder"),
                detector=await self._channel("detector"),
                search=search_channel,
                datasets=await self._channel("datasets"),
                blobs=adapters.blobs,
            ),
        )
        await self._run(gateway)
        listeners = [unix_listener(self.info.socket("gateway"))]
        if self._listener is not None:
            listeners.append(self._listener)
        http = HttpServer(gateway.asgi, listeners)
        self._stack.push_async_callback(http.aclose)
        await http.start()
        leave_out_of_collections()
        self._ownership.announce(url_of(self._listener) if self._listener is not None else "")

    def _check_space(self, searched: Collection | None, models: ModelSet) -> None:
        space = Space.of_profile(models, self._settings.profile).name
        if searched is not None and searched.space != space and not self._any_space:
            raise SpaceMismatch(f"the gallery was embedded into {searched.space!r}, the models embed into {space!r}")

    async def _adapters(self, directory: DataDirectory) -> Adapters:
        models = self._settings.load_models().pulled(self._settings.profile)
        blobs = FileReferences(ObjectBlobStore.local(directory.blobs), self._settings.max_image_bytes)
        self._stack.push_async_callback(blobs.aclose)
        inference = OnnxInference({model.name: model.onnx_path for model in models})
        self._stack.push_async_callback(inference.aclose)
        engine, datasets_engine = [
            open_engine(f"sqlite:///{path}") for path in (directory.catalogue, directory.datasets)
        ]
        self._stack.callback(engine.dispose)
        self._stack.callback(datasets_engine.dispose)
        vectors = LanceDbStore(directory.index)
        self._stack.push_async_callback(vectors.aclose)
        bus = SqliteBus(directory.bus)
        self._stack.push_async_callback(bus.aclose)
        return Adapters(engine, datasets_engine, vectors, bus, blobs, inference, models)

    async def _serve(self, name: str, registrations: Sequence[Registration]) -> None:
        server = RpcServer(name, registrations)
        self._stack.push_async_callback(server.aclose)
        await server.start(self.info.address(name))

    async def _run(self, app: _App) -> None:
        self._stack.push_async_callback(app.aclose)
        await app.start()

    async def _channel(self, name: str, deadline: timedelta = DEFAULT_DEADLINE) -> grpc.aio.Channel:
        channel = open_channel(self.info.address(name), deadline)
        self._stack.push_async_callback(channel.close)
        return channel
