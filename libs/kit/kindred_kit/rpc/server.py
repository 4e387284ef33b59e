"""A gRPC server with health, reflection, request ids, error mapping and a metric for each call."""

from __future__ import annotations  # grpc's generics exist for the type checker only

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kindred_kit.context import REQUEST_ID_METADATA, new_request_id, request_id_var
from kindred_kit.errors import KindredError, storage_error
from kindred_kit.rpc.metadata import to_trailers
from kindred_kit.telemetry import RPC_SECONDS, get_logger

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""An image of the default limit (50 MB) and what travels with it."""


@dataclass(frozen=True)
class Registration:
    """A servicer and how to add it: `add(servicer, server)` is the generated `add_…Servicer_to_server`.

    `is_ready`: whether what it needs would answer now, asked at each health check; None: it needs nothing.
    """

    service_name: str
    servicer: Any
    add: Callable[[Any, Any], None]
    is_ready: Callable[[], Awaitable[bool]] | None = None


class RpcServer:
    """Serves some servicers on one address: `unix:/path.sock` or `host:port` (port 0: a free one)."""

    def __init__(self, name: str, registrations: Sequence[Registration]) -> None:
        self._name = name
        self._registrations = registrations
        self._health = _Health(registrations)
        self._server = grpc.aio.server(
            interceptors=[_Edge(name)],
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ],
        )

    async def start(self, address: str) -> str:
        """Start to serve and return the address with the real port."""
        for registration in self._registrations:
            registration.add(registration.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [registration.service_name for registration in self._registrations]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        port = self._server.add_insecure_port(address)
        await self._server.start()
        for name in ["", *names]:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    async def aclose(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Refuse new calls, let those in flight end within `grace`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace.total_seconds())


class _Health(health.aio.HealthServicer):  # type: ignore[misc]
    """Health by asking: a service whose models are down is NOT_SERVING, and the whole server with it (name "")."""

    def __init__(self, registrations: Sequence[Registration]) -> None:
        super().__init__()
        self._checks = {known.service_name: known.is_ready for known in registrations if known.is_ready is not None}

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        known: health_pb2.HealthCheckResponse = await super().Check(request, context)
        checks = [check for name, check in self._checks.items() if request.service in {"", name}]
        if known.status == health_pb2.HealthCheckResponse.SERVING and not all([await check() for check in checks]):
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
        return known


class _Edge(grpc.aio.ServerInterceptor):
    """Around each call: the request id from the metadata, errors to statuses, one log line, one metric."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._log = get_logger(service)
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if (known := self._wrapped.get(details.method)) is not None:
            return known
        handler = await continuation(details)
        if handler is None or not details.method.startswith("/kindred."):
            return handler
        self._wrapped[details.method] = self._wrap(handler, details.method.rpartition("/")[2])
        return self._wrapped[details.method]

    def _wrap(self, handler: grpc.RpcMethodHandler[Any, Any], method: str) -> grpc.RpcMethodHandler[Any, Any]:
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary, method), **codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream, method), **codec)
        return handler

    def _unary(self, call: Any, method: str) -> Any:
        async def run(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = _begin(context)
            try:
                response = await call(request, context)
            except Exception as error:
                await self._fail(error, context, method, started)
            else:
                self._end(method, "OK", started)
                return response

        return run

    def _stream(self, call: Any, method: str) -> Any:
        async def run(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = _begin(context)
            try:
                async for response in call(request, context):
                    yield response
            except Exception as error:
                await self._fail(error, context, method, started)
            else:
                self._end(method, "OK", started)

        return run

    def _end(self, method: str, code: str, started: float) -> None:
        seconds = time.perf_counter() - started
        RPC_SECONDS.labels(self._service, method, code).observe(seconds)
        self._log.debug("rpc", method=method, code=code, duration_ms=round(seconds * 1000, 2))

    async def _fail(
        self, error: Exception, context: grpc.aio.ServicerContext[Any, Any], method: str, started: float
    ) -> None:
        if isinstance(error, grpc.aio.AbortError):  # the servicer aborted by itself
            raise error
        if not isinstance(error, KindredError):
            self._log.error("rpc failed", method=method, exc_info=error)
            error = storage_error(error) or KindredError(
                "internal error; the log has the details under this request id"
            )
        self._end(method, error.status.grpc, started)
        await context.abort(grpc.StatusCode[error.status.grpc], error.detail, trailing_metadata=to_trailers(error))


def _begin(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """Take over the caller's request id, or make one; the time is for the duration."""
    request_id = dict(context.invocation_metadata() or ()).get(REQUEST_ID_METADATA)
    request_id_var.set(str(request_id or new_request_id()))
    return time.perf_counter()
