"""A gRPC channel whose calls carry the request id and a deadline, and whose errors are ours again."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import grpc

from kindred_kit.context import REQUEST_ID_METADATA, current_request_id
from kindred_kit.rpc.metadata import from_rpc_error
from kindred_kit.rpc.server import MAX_MESSAGE_BYTES

DEFAULT_DEADLINE = timedelta(seconds=30)
"""For calls that set none. Nothing waits for ever on a part that may be down."""


def open_channel(address: str, deadline: timedelta = DEFAULT_DEADLINE) -> grpc.aio.Channel:
    """Open a channel to `unix:/path.sock` or `host:port`. Calls raise KindredError, never a gRPC error."""
    seconds = deadline.total_seconds()
    return grpc.aio.insecure_channel(
        address,
        interceptors=[_UnaryInterceptor(seconds), _StreamInterceptor()],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # a second's back-off at most: a part that comes back is used again at once
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    )


def _with_request_id(details: grpc.aio.ClientCallDetails, timeout: float | None) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    if metadata.get(REQUEST_ID_METADATA) is None:
        metadata.add(REQUEST_ID_METADATA, current_request_id())
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout if details.timeout is not None else timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, default_timeout_s: float) -> None:
        self._default_timeout_s = default_timeout_s

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        call = await continuation(_with_request_id(details, self._default_timeout_s), request)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


class _StreamInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """No default deadline: a stream lasts as long as the work that it reports."""

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> AsyncIterator[Any]:
        call = await continuation(_with_request_id(details, None), request)
        return _translated(call)


async def _translated(call: Any) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
