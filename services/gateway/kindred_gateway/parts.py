"""What the routes work with: stubs of the services, the blobs, a decoding pool and the fetcher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import grpc
from fastapi import Depends, Request

from kindred_gateway.datasets.links import LinkSigner
from kindred_gateway.pool import DecodePool
from kindred_gateway.settings import GatewaySettings
from kindred_kit.fetching import Fetcher
from kindred_kit.ports.blobs import BlobStore

if TYPE_CHECKING:  # these classes exist for type checkers alone
    from kindred.datasets.v1.datasets_pb2_grpc import DatasetServiceAsyncStub
    from kindred.detector.v1.detector_pb2_grpc import DetectorServiceAsyncStub
    from kindred.embedder.v1.embedder_pb2_grpc import EmbedderServiceAsyncStub
    from kindred.search.v1.search_pb2_grpc import SearchServiceAsyncStub


@dataclass(frozen=True)
class Parts:
    """One per running gateway, held in `app.state.parts`. `channels` by service name, for the health checks."""

    settings: GatewaySettings
    embedder: EmbedderServiceAsyncStub
    detector: DetectorServiceAsyncStub
    search: SearchServiceAsyncStub
    datasets: DatasetServiceAsyncStub
    channels: Mapping[str, grpc.aio.Channel]
    blobs: BlobStore
    pool: DecodePool
    fetcher: Fetcher
    links: LinkSigner


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


PartsDep = Annotated[Parts, Depends(parts_of)]
