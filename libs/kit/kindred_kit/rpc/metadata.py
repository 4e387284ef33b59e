"""How an error crosses a gRPC call: code, kind and pointer in the trailing metadata, detail as the status text."""

from typing import Any

import grpc

from kindred_kit.errors import DeadlineExceeded, KindredError, Status, Unavailable, error_from_code

CODE_KEY = "kindred-code"
STATUS_KEY = "kindred-status"
POINTER_KEY = "kindred-pointer"


def to_trailers(error: KindredError) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that carries the error."""
    trailers = ((CODE_KEY, error.code), (STATUS_KEY, error.status.name))
    return (*trailers, (POINTER_KEY, error.pointer)) if error.pointer else trailers


def from_rpc_error(rpc_error: grpc.aio.AioRpcError) -> KindredError:
    """The error that the other side raised, or what the failed call itself means."""
    trailers: dict[str, Any] = dict(rpc_error.trailing_metadata() or ())
    detail = rpc_error.details() or rpc_error.code().name
    if CODE_KEY in trailers:
        return error_from_code(trailers[CODE_KEY], detail, Status[trailers[STATUS_KEY]], trailers.get(POINTER_KEY))
    if rpc_error.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"a service that the request needs is down: {detail}")
    if rpc_error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("a service that the request needs did not answer in time")
    return KindredError(detail)
