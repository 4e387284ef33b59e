"""Composition of the gateway: adapters in, an ASGI application out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from kindred.datasets.v1.datasets_pb2_grpc import DatasetServiceStub
from kindred.detector.v1.detector_pb2_grpc import DetectorServiceStub
from kindred.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from kindred.search.v1.search_pb2_grpc import SearchServiceStub
from kindred_gateway.datasets.links import LinkSigner
from kindred_gateway.edge import Edge
from kindred_gateway.openapi import install_openapi
from kindred_gateway.parts import Parts
from kindred_gateway.pool import DecodePool
from kindred_gateway.problems import problem_response
from kindred_gateway.routes import (
    datasets,
    detect,
    embed,
    files,
    images,
    labels,
    later,
    operations,
    page,
    search,
    uploads,
)
from kindred_gateway.settings import GatewaySettings
from kindred_gateway.uploads import sweep_for_ever
from kindred_kit.errors import KindredError
from kindred_kit.fetching import Fetcher
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.ports.blobs import BlobStore

_ROUTERS = (search, images, files, uploads, datasets, detect, embed, labels, operations, later, page)
_DESCRIPTION = "Find images by text, by image, by a region of an image, or by a weighted mix of these."


@dataclass(frozen=True)
class Adapters:
    """Channels from `kindred_kit.rpc.open_channel` (they raise KindredError); `fetcher` only to replace the default.

    `blobs` reads every blob key that the catalogue holds, references to files too.
    """

    embedder: grpc.aio.Channel
    detector: grpc.aio.Channel
    search: grpc.aio.Channel
    datasets: grpc.aio.Channel
    blobs: BlobStore
    fetcher: Fetcher | None = None


@dataclass(frozen=True)
class App:
    """`asgi` serves requests once built; `start` adds the background sweep of query uploads."""

    asgi: ASGIApp
    start: Callable[[], Awaitable[None]]
    aclose: Callable[[], Awaitable[None]]


async def build(settings: GatewaySettings, adapters: Adapters) -> App:
    """Compose. The adapters stay the caller's to close."""
    parts = Parts(
        settings=settings,
        embedder=EmbedderServiceStub(adapters.embedder),
        detector=DetectorServiceStub(adapters.detector),
        search=SearchServiceStub(adapters.search),
        datasets=DatasetServiceStub(adapters.datasets),
        channels={
            "embedder": adapters.embedder,
            "detector": adapters.detector,
            "search": adapters.search,
            "datasets": adapters.datasets,
        },
        blobs=adapters.blobs,
        pool=DecodePool(settings.decode_threads, settings.images_in_memory, settings.image_queue),
        fetcher=adapters.fetcher
        or Fetcher(
            settings.max_image_bytes,
            settings.download_timeout_s,
            settings.max_redirects,
            settings.concurrent_downloads,
        ),
        links=LinkSigner(settings.link_key, settings.link_ttl_s),
    )
    tasks = BackgroundTasks("gateway")

    async def start() -> None:
        tasks.start(sweep_for_ever(parts.blobs, settings.upload_ttl_s, settings.sweep_interval_s), "upload-sweeper")

    async def aclose() -> None:
        await tasks.aclose()
        parts.pool.close()

    return App(asgi=Edge(application(parts), settings), start=start, aclose=aclose)


def application(parts: Parts) -> FastAPI:
    """The routes and the error table, without the edge around them."""
    app = FastAPI(
        title="Kindred",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,  # both pages load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = parts
    for module in _ROUTERS:
        app.include_router(module.router)

    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(error, request.url.path, parts.settings.retry_after_s)

    for kind in (KindredError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer)
    install_openapi(app)
    return app
