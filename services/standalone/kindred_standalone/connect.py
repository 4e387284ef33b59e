"""Reach the services of a data directory: as its owner, or as a client of the process that owns it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kindred.datasets.v1.datasets_pb2_grpc import DatasetServiceStub
from kindred.detector.v1.detector_pb2_grpc import DetectorServiceStub
from kindred.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1.search_pb2_grpc import SearchServiceStub
from kindred_kit.errors import DeadlineExceeded, KindredError, Unavailable
from kindred_kit.rpc import open_channel
from kindred_kit.telemetry import get_logger
from kindred_standalone.datadir import DataDirectory, OwnerInfo, Ownership
from kindred_standalone.errors import AlreadyServed, OwnerUnreachable
from kindred_standalone.settings import StandaloneSettings

if TYPE_CHECKING:
    # exist for type checkers alone
    from kindred.datasets.v1.datasets_pb2_grpc import DatasetServiceAsyncStub
    from kindred.detector.v1.detector_pb2_grpc import DetectorServiceAsyncStub
    from kindred.embedder.v1.embedder_pb2_grpc import EmbedderServiceAsyncStub
    from kindred.search.v1.search_pb2_grpc import SearchServiceAsyncStub

    # composing imports LanceDB and ONNX Runtime, which a client never needs
    from kindred_standalone.compose import Wrap

LOCAL = pb.Principal(owner="local")
"""Who asks on a laptop without accounts."""

GATEWAY_URL = "http://localhost"
_OWNER_PATIENCE_S = 60.0
"""An owner loads its models before it answers; one that is stopping ends the calls in flight first."""
_RETRY_S = 0.1
_MAX_REOPENINGS = 20
"""Without a single answer in between."""
_log = get_logger("standalone")

T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """The services of a data directory. `http` talks to the gateway, whose paths start with `/v1`."""

    is_owner: bool
    owner: OwnerInfo
    search: SearchServiceAsyncStub
    embedder: EmbedderServiceAsyncStub
    detector: DetectorServiceAsyncStub
    datasets: DatasetServiceAsyncStub
    http: httpx.AsyncClient


@asynccontextmanager
async def connect(
    directory: DataDirectory,
    settings: StandaloneSettings,
    *,
    command: str = "kindred",
    wrap: Wrap | None = None,
    any_space: bool = False,
) -> AsyncIterator[Node]:
    """Own the data directory and run the services, or use those of the process that owns it already.

    Raises DataDirectoryUnusable, SpaceMismatch where the gallery is of other models (not with `any_space`), and
    OwnerUnreachable where the owner answers nothing for a minute. A client's calls raise Unavailable once the owner has
    ended; `Session` goes on then.
    """
    async with AsyncExitStack() as stack:
        yield await _enter(stack, directory, settings, command, wrap, any_space=any_space)


async def own(directory: DataDirectory, command: str, *, on_wait: Callable[[str], None]) -> Ownership:
    """Become the owner, waiting for one that ends by itself. Raises AlreadyServed where that one serves HTTP."""
    directory.create()
    told = 0
    while (ownership := directory.try_own(command)) is None:
        owner = directory.owner()
        if owner is not None and owner.url:
            raise AlreadyServed(f"process {owner.pid} serves this data directory already, at {owner.url}")
        if owner is not None and owner.pid != told:
            on_wait(f"Waiting for process {owner.pid} (kindred {owner.command}) to end …")
            told = owner.pid
        await asyncio.sleep(_RETRY_S)
    return ownership


class Session:
    """A connection for long work: when the owner ends in between, this process takes over and goes on.

    Calls may be made twice, so that only idempotent ones belong here.
    """

    def __init__(self, open_node: Callable[[AsyncExitStack], Awaitable[Node]]) -> None:
        self._open = open_node
        self._stack = AsyncExitStack()
        self._node: Node | None = None
        self._opening = asyncio.Lock()
        self._reopenings = 0

    @classmethod
    def of(
        cls, directory: DataDirectory, settings: StandaloneSettings, *, command: str, wrap: Wrap | None = None
    ) -> Session:
        return cls(lambda stack: _enter(stack, directory, settings, command, wrap))

    async def __aenter__(self) -> Session:
        await self._reopen(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def node(self) -> Node:
        if self._node is None:
            raise RuntimeError("the session is not open")
        return self._node

    async def call(self, work: Callable[[Node], Awaitable[T]]) -> T:
        """Do `work`, again with a new connection where the owner has ended."""
        while True:
            node = self.node
            try:
                result = await work(node)
            except (Unavailable, DeadlineExceeded) as error:
                self._reopenings += 1
                if node.is_owner or self._reopenings > _MAX_REOPENINGS:
                    raise
                _log.info("the owner of the data directory went away", owner=node.owner.pid, error=error.detail)
                await asyncio.sleep(_RETRY_S)
                await self._reopen(node)
            else:
                self._reopenings = 0
                return result

    async def _reopen(self, broken: Node | None) -> None:
        async with self._opening:
            if self._node is not broken:  # another task was faster
                return
            await self._stack.aclose()
            self._stack = AsyncExitStack()
            self._node = await self._open(self._stack)


async def _enter(
    stack: AsyncExitStack,
    directory: DataDirectory,
    settings: StandaloneSettings,
    command: str,
    wrap: Wrap | None,
    *,
    any_space: bool = False,
) -> Node:
    directory.create()
    give_up = time.monotonic() + _OWNER_PATIENCE_S
    while True:
        ownership = directory.try_own(command)
        if ownership is not None:
            from kindred_standalone.compose import Standalone

            opened = Standalone(ownership, settings, wrap, any_space=any_space)
            standalone = await stack.enter_async_context(opened)
            return await stack.enter_async_context(_node(standalone.info, is_owner=True))
        owner = directory.owner()
        if owner is not None and await _answers(owner):
            return await stack.enter_async_context(_node(owner, is_owner=False))
        if time.monotonic() > give_up:
            who = f"process {owner.pid} (kindred {owner.command})" if owner else "another process"
            raise OwnerUnreachable(f"{who} has the data directory open and does not answer")
        await asyncio.sleep(_RETRY_S)


@asynccontextmanager
async def _node(owner: OwnerInfo, *, is_owner: bool) -> AsyncIterator[Node]:
    async with AsyncExitStack() as stack:
        search, embedder, detector, datasets = [
            await stack.enter_async_context(open_channel(owner.address(name)))
            for name in ("search", "embedder", "detector", "datasets")
        ]
        transport = httpx.AsyncHTTPTransport(uds=owner.socket("gateway"))
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=_Translating(transport), base_url=GATEWAY_URL, timeout=60)
        )
        yield Node(
            is_owner,
            owner,
            SearchServiceStub(search),
            EmbedderServiceStub(embedder),
            DetectorServiceStub(detector),
            DatasetServiceStub(datasets),
            http,
        )


class _Translating(httpx.AsyncBaseTransport):
    """The gateway's socket, whose failures are our errors."""

    def __init__(self, inner: httpx.AsyncHTTPTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise DeadlineExceeded("the gateway did not answer in time") from error
        except httpx.TransportError as error:
            raise Unavailable("the process that serves this data directory has ended; run the command again") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _answers(owner: OwnerInfo) -> bool:
    """Whether the owner serves (one that is stopping says so)."""
    try:
        async with grpc.aio.insecure_channel(owner.address("search")) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    except (grpc.aio.AioRpcError, KindredError):
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
