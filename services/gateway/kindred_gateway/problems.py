"""Errors as RFC 9457 problem documents: one table from code to title, one place that renders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from kindred_gateway.presentation import without_paths
from kindred_kit.context import current_request_id
from kindred_kit.errors import InvalidArgument, KindredError, NotAvailable, Status

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
_HTTP_CODES = {400: "malformed_body", 404: "route_not_found", 405: "method_not_allowed"}
# Words of our own for what is not the client's doing: the real detail can name hosts, keys and paths. It is logged.
_PUBLIC_DETAILS = {
    "unavailable": "a part that the request needs is down or busy; the same request can succeed later",
    "deadline_exceeded": "a part that the request needs did not answer in time; the same request can succeed later",
    "storage_full": "there is no room left to store anything; the same request can succeed later",
    "index_damaged": "the index is being built anew; the same request can succeed in a moment",
}
_INTERNAL_DETAIL = "something went wrong here; the log has it under this request id"


@dataclass(frozen=True)
class FieldError:
    """What is wrong at a JSON pointer (RFC 6901) of the request."""

    pointer: str
    code: str
    detail: str


class RequestInvalid(InvalidArgument):
    """One or several bad values of a well-formed request."""

    def __init__(self, errors: Sequence[FieldError], code: str | None = None) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{first.pointer or 'the request'}: {first.detail}{more}", pointer=first.pointer)
        self.errors = list(errors[:MAX_ERRORS])
        if code is not None:
            self.code = code


class MalformedBody(KindredError):
    code = "malformed_body"
    status = Status.MALFORMED


class UnsupportedMediaType(KindredError):
    code = "unsupported_media_type"
    status = Status.UNSUPPORTED_TYPE


class BodyTooLarge(KindredError):
    code = "body_too_large"
    status = Status.TOO_LARGE


class BodyTooSlow(KindredError):
    """Answered 408: the body did not arrive in time."""

    code = "body_timeout"
    status = Status.MALFORMED


class MalformedRequest(KindredError):
    """Bytes that are no HTTP."""

    code = "malformed_request"
    status = Status.MALFORMED


class RequestHeadTooLarge(KindredError):
    """Answered 431."""

    code = "headers_too_large"
    status = Status.MALFORMED


class RouteNotBuilt(NotAvailable):
    """A path of the API's design that comes later."""

    status = Status.NOT_FOUND


class UploadNotFound(KindredError):
    code = "upload_not_found"
    status = Status.NOT_FOUND


class DatasetNotFound(KindredError):
    code = "dataset_not_found"
    status = Status.NOT_FOUND


class DatasetNotReady(KindredError):
    code = "dataset_not_ready"
    status = Status.CONFLICT


class JobNotFound(KindredError):
    code = "job_not_found"
    status = Status.NOT_FOUND


class RangeNotSatisfiable(KindredError):
    """Answered 416."""

    code = "range_not_satisfiable"
    status = Status.MALFORMED


_HTTP_ONLY = {BodyTooSlow: 408, RequestHeadTooLarge: 431, RangeNotSatisfiable: 416}
"""Statuses that mean nothing inside."""


def problem_response(
    error: BaseException, path: str, retry_after_s: int = 2, extra: Mapping[str, Any] | None = None
) -> Response:
    """The answer for any exception. Unknown ones become a 500 that says nothing about the inside."""
    if isinstance(error, RequestValidationError):
        error = RequestInvalid(field_errors(error.errors(), strip_location=True))
    if isinstance(error, KindredError):
        status = _HTTP_ONLY.get(type(error), error.status.http)
        return _render(status, error.code, _public_detail(error), path, _errors_of(error), retry_after_s, extra)
    if isinstance(error, HTTPException):
        code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
        detail = _detail_of(error)
        response = _render(error.status_code, code, detail, path, [], retry_after_s, extra)
        response.headers.update(error.headers or {})
        return response
    if isinstance(error, ClientDisconnect):
        return _render(
            400, "client_disconnected", "the connection ended before the body", path, [], retry_after_s, extra
        )
    return _render(500, "internal", _INTERNAL_DETAIL, path, [], retry_after_s, extra)


def _detail_of(error: HTTPException) -> str:
    if error.status_code == 400:
        return error.detail
    if error.status_code == 404:
        return "there is nothing at this path; /openapi.json lists what there is"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return f"this path takes {allowed}" if allowed else "this path does not take this method"
    return HTTPStatus(error.status_code).description


def field_errors(details: Sequence[ErrorDetails] | Sequence[Any], strip_location: bool = False) -> list[FieldError]:
    """Pydantic's findings as pointers; `strip_location` drops FastAPI's leading "query", "path" or "body"."""
    return [
        FieldError(
            pointer="".join(f"/{_escape(part)}" for part in (item["loc"][1:] if strip_location else item["loc"])),
            code=str(item["type"]),
            detail=str(item["msg"]).removeprefix("Value error, "),
        )
        for item in details[: MAX_ERRORS + 1]
    ]


def invalid_model(error: ValidationError) -> KindredError:
    """A body that does not fit its model; what is designed but not built says so instead."""
    errors = field_errors(error.errors(include_url=False, include_context=False, include_input=False))
    missing = [item for item in errors if item.code == "not_available"]
    if missing:
        return NotAvailable(missing[0].detail, pointer=missing[0].pointer)
    codes = {"filter_invalid" if item.pointer.startswith("/filter") else None for item in errors}
    return RequestInvalid(errors, code=codes.pop() if len(codes) == 1 else None)


def _errors_of(error: KindredError) -> list[FieldError]:
    if isinstance(error, RequestInvalid):
        return error.errors
    if error.pointer is not None:
        return [FieldError(error.pointer, error.code, _public_detail(error))]
    return []


def _public_detail(error: KindredError) -> str:
    if error.code in _PUBLIC_DETAILS:
        return _PUBLIC_DETAILS[error.code]
    if error.status.http >= 500:
        return _INTERNAL_DETAIL
    # the gateway's own findings name JSON pointers, which look like paths
    return error.detail if isinstance(error, RequestInvalid) else without_paths(error.detail)


def _escape(part: object) -> str:
    """A part of a JSON pointer; long hostile keys are cut."""
    return str(part)[:100].replace("~", "~0").replace("/", "~1")


def _render(
    status: int,
    code: str,
    detail: str,
    path: str,
    errors: Sequence[FieldError],
    retry_after_s: int,
    extra: Mapping[str, Any] | None,
) -> Response:
    body = {
        "type": f"urn:kindred:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail[:2000],
        "instance": quote(path[:500], errors="replace"),
        "code": code,
        "request_id": current_request_id(),
        "errors": [{"pointer": item.pointer, "code": item.code, "detail": item.detail[:500]} for item in errors],
        **(extra or {}),
    }
    headers = {"Retry-After": str(retry_after_s)} if status == 503 else {}
    # a lone surrogate from a header or path must not turn an error into another one
    payload = orjson.dumps(_printable(body))
    return Response(payload, status, headers, MEDIA_TYPE)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value
