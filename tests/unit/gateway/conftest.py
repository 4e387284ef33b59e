"""A gateway in front of in-memory services, over real gRPC on Unix sockets."""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fakes import MemoryBlobs
from unit.gateway.fake_datasets import FakeDatasets
from unit.gateway.fake_services import FakeDetector, FakeEmbedder, FakeSearch
from unit.gateway.harness import Gateway

from kindred.datasets.v1.datasets_pb2_grpc import add_DatasetServiceServicer_to_server
from kindred.detector.v1.detector_pb2_grpc import add_DetectorServiceServicer_to_server
from kindred.embedder.v1.embedder_pb2_grpc import add_EmbedderServiceServicer_to_server
from kindred.search.v1.search_pb2_grpc import add_SearchServiceServicer_to_server
from kindred_gateway.app import Adapters, build
from kindred_gateway.settings import GatewaySettings
from kindred_kit.fetching import Fetcher
from kindred_kit.rpc import RpcServer, open_channel
from kindred_kit.rpc.server import Registration

StartGateway = Callable[..., Any]


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """`await start_gateway(max_json_bytes=…, fetcher=…)`."""
    async with AsyncExitStack() as stack:

        async def start(fetcher: Fetcher | None = None, **settings: Any) -> Gateway:
            blobs = MemoryBlobs()
            embedder, detector, search = FakeEmbedder(blobs), FakeDetector(blobs), FakeSearch()
            datasets = FakeDatasets()
            # a path of pytest's own can be too long for a socket (107 bytes)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gw")))
            servers, channels = {}, {}
            for name, servicer, add in (
                ("embedder", embedder, add_EmbedderServiceServicer_to_server),
                ("detector", detector, add_DetectorServiceServicer_to_server),
                ("search", search, add_SearchServiceServicer_to_server),
                ("datasets", datasets, add_DatasetServiceServicer_to_server),
            ):
                service = f"kindred.{name}.v1.{name.title().removesuffix('s')}Service"
                servers[name] = RpcServer(name, [Registration(service, servicer, add)])
                address = await servers[name].start(f"unix:{folder}/{name}.sock")
                stack.push_async_callback(servers[name].aclose)
                channels[name] = open_channel(address)
                stack.push_async_callback(channels[name].close)
            app = await build(GatewaySettings(**settings), Adapters(**channels, blobs=blobs, fetcher=fetcher))
            stack.push_async_callback(app.aclose)
            transport = httpx.ASGITransport(app.asgi)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
            await stack.enter_async_context(http)
            return Gateway(app, http, blobs, embedder, detector, search, datasets, servers)

        yield start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()  # type: ignore[no-any-return]
