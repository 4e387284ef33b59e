"""A gRPC channel whose calls carry the request id and a deadline, and whose errors are ours again."""

from __future__ import annotations  # grpc's generics exist for the type checker only

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc

from kindred_kit.context import REQUEST_ID_METADATA, current_request_id
from kindred_kit.rpc.metadata import from_rpc_error
from kindred_kit.rpc.server import MAX_MESSAGE_BYTES

DEFAULT_DEADLINE = timedelta(seconds=30)
"""For calls that set none. Nothing waits for ever on a part that may be down."""


def open_channel(address: str, deadline: timedelta = DEFAULT_DEADLINE) -> grpc.aio.Channel:
    """Open a channel to `unix:/path.sock` or `host:port`. Calls raise KindredError, never a gRPC error.

    Streams have no default deadline: they last as long as the work that they report.
    """
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # a second's back-off at most: a part that comes back is used again at once
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    return _Channel(grpc.aio.insecure_channel(address, options=options), deadline.total_seconds())


class _Channel(grpc.aio.Channel):
    """Around each call of the channel below. grpc's own interceptors do the same for a task and 0.1 ms more a call."""

    def __init__(self, below: grpc.aio.Channel, timeout_s: float) -> None:
        self._below = below
        self._timeout_s = timeout_s

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        call = self._below.unary_unary(*args, **kwargs)

        async def run(request: Any, timeout: float | None = None, metadata: Any = (), **options: Any) -> Any:
            try:
                return await call(
                    request, timeout=timeout or self._timeout_s, metadata=_with_request_id(metadata), **options
                )
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None

        return run

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        call = self._below.unary_stream(*args, **kwargs)

        async def run(request: Any, metadata: Any = (), **options: Any) -> AsyncIterator[Any]:
            try:
                async for message in call(request, metadata=_with_request_id(metadata), **options):
                    yield message
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None

        return run

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no service of ours takes a stream")

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no service of ours takes a stream")

    async def close(self, grace: float | None = None) -> None:
        await self._below.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._below.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._below.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._below.channel_ready()

    async def __aenter__(self) -> _Channel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _with_request_id(metadata: Any) -> tuple[tuple[str, str], ...]:
    given = tuple(metadata)
    if any(key == REQUEST_ID_METADATA for key, _ in given):
        return given
    return (*given, (REQUEST_ID_METADATA, current_request_id()))
