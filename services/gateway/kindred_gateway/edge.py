"""The outermost ASGI layer: request id, site guard, body limits, security headers, metrics, no escaped exception."""

import asyncio
import re
import time
from typing import Any

from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kindred_gateway.problems import BodyTooLarge, BodyTooSlow, UnsupportedMediaType, problem_response
from kindred_gateway.settings import GatewaySettings
from kindred_gateway.sites import SiteGuard
from kindred_kit.context import new_request_id, request_id_var
from kindred_kit.errors import ImageTooLarge, KindredError
from kindred_kit.telemetry import get_logger

HTTP_SECONDS = Histogram(
    "kindred_http_request_duration_seconds",
    "Duration of HTTP requests until the last byte of the answer",
    ["method", "route", "status"],
    # 1 ms to 60 s: a thumbnail takes a millisecond, `?wait=60` a minute
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
_SANE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MULTIPART_SLACK_BYTES = 10**6  # part headers, boundaries and text fields beside the image
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # no page of another site may show or read an image from here
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


_HEAD = "kindred.head"


def is_head(scope: Scope) -> bool:
    """Whether the body of the answer will be dropped: one that is expensive need not be made."""
    return bool(scope.get(_HEAD))


class Edge:
    """Wraps the FastAPI application."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings
        self._guard = SiteGuard(frozenset(host.lower() for host in settings.allowed_hosts))
        self._log = get_logger("gateway")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _SANE_ID.fullmatch(request_id):
            request_id = new_request_id()
        token = request_id_var.set(request_id)
        try:
            await self._serve(scope, headers, receive, _Answer(send, request_id, scope["method"] == "HEAD"))
        finally:
            request_id_var.reset(token)

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, answer: "_Answer") -> None:
        started = time.perf_counter()
        method = scope["method"]
        # a HEAD is a GET whose body is dropped; the server below looks at its own scope, not at this copy
        inner = {**scope, "method": "GET", _HEAD: True} if method == "HEAD" else dict(scope)
        try:
            self._guard.check(method, headers, (scope.get("server") or (None, None))[1])
            await self._app(inner, _limited(receive, headers, self._settings), answer)
        except Exception as error:
            if not isinstance(error, KindredError):
                self._log.error("request failed", method=method, path=scope["path"][:200], exc_info=error)
            if not answer.started:
                await problem_response(error, scope["path"], self._settings.retry_after_s)(inner, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(inner.get("route"), "path", "unmatched")
            known = method if method in _METHODS else "other"
            HTTP_SECONDS.labels(known, route, answer.status).observe(seconds)
            self._log.debug(
                "http", method=known, route=route, status=answer.status, duration_ms=round(seconds * 1000, 2)
            )


class _Answer:
    """Sends, and adds what every answer carries."""

    def __init__(self, send: Send, request_id: str, drop_body: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._drop_body = drop_body
        self.started = False
        self.status = 0  # 0: the client went away before an answer

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        elif message["type"] == "http.response.body" and self._drop_body:
            message = {**message, "body": b""}
        await self._send(message)


def _limited(receive: Receive, headers: Headers, settings: GatewaySettings) -> Receive:
    """Count the body as it streams in, whatever Content-Length says, and let it take only so long."""
    multipart = headers.get("content-type", "").lower().startswith("multipart/")
    limit = settings.max_image_bytes + _MULTIPART_SLACK_BYTES if multipart else settings.max_json_bytes
    encoding = headers.get("content-encoding", "").strip().lower()
    received = 0
    deadline: float | None = None

    def too_large() -> KindredError:
        if multipart:
            return ImageTooLarge(f"the image has more than the {settings.max_image_bytes:,} bytes allowed")
        return BodyTooLarge(f"the body has more than the {limit:,} bytes allowed")

    length = headers.get("content-length", "")
    announced = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0

    async def wrapped() -> Any:
        nonlocal received, deadline
        if received < 0:  # the body has ended; what follows is the wait for a disconnect
            return await receive()
        if encoding not in {"", "identity"}:
            detail = f"a body is taken as it is, not with Content-Encoding {encoding[:100]}"
            raise UnsupportedMediaType(detail)
        if announced > limit:
            raise too_large()
        loop = asyncio.get_running_loop()
        deadline = deadline or loop.time() + settings.body_timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow(f"the body did not arrive within {settings.body_timeout_s:g} s") from None
        received += len(message.get("body", b""))
        if received > limit:
            raise too_large()
        if not message.get("more_body", False):
            received = -1
        return message

    return wrapped
