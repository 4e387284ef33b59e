"""The HTTP/1.1 server's protocol with bounds of our own on what comes before a body.

uvicorn's waits for ever for the end of a head, keeps all of it in memory, and answers broken HTTP in plain text.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kindred_gateway.problems import MalformedRequest, RequestHeadTooLarge, problem_response
from kindred_kit.context import new_request_id, request_id_var
from kindred_kit.errors import KindredError

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers; browsers send about 1 KB."""

HEAD_TIMEOUT_S = 30.0
"""How long a client may take for them."""

_LINGER_S = 1.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=BoundedHttpProtocol)`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_bytes = 0
        self._in_head = True
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head and self._head_timer is None:  # the next request of a kept connection
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)
        self._head_bytes += len(data)
        super().data_received(data)
        # looked at afterwards: a small head may have come together with the beginning of a large body
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self._refused:
            self._refuse(RequestHeadTooLarge(f"the headers have more than the {MAX_HEAD_BYTES:,} bytes allowed"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequest("the request is not valid HTTP/1.1"))

    def _refuse(self, error: KindredError) -> None:
        token = request_id_var.set(new_request_id())
        try:
            answer = problem_response(error, "")
        finally:
            request_id_var.reset(token)
        head = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}\r\n".encode()
        headers = [*answer.raw_headers, (b"connection", b"close")]
        self.transport.write(
            head + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + bytes(answer.body)
        )
        # closed at once, with bytes of the client still to come, the connection would be reset and the answer lost
        self._refused = True
        self._stop_timer()
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
