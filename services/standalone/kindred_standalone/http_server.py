"""uvicorn inside our own event loop: sockets that we bound, no signal handlers, a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn

from kindred_gateway.http_protocol import BoundedHttpProtocol
from kindred_kit.errors import Unavailable

_GRACE_S = 10
"""What a request in flight has to end; a search takes milliseconds, an upload of 50 MB seconds."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process has one handler for all its servers


class HttpServer:
    """One ASGI app on several sockets."""

    def __init__(self, asgi: Any, sockets: Sequence[socket.socket]) -> None:
        self._sockets = list(sockets)
        self._server = _Server(
            uvicorn.Config(
                asgi,
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",  # the composition starts and ends the app
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once the sockets answer. Raises Unavailable."""
        self._serving = asyncio.create_task(self._server.serve(sockets=self._sockets), name="http")
        while not self._server.started:
            if self._serving.done():
                raise Unavailable("the HTTP server did not start") from self._serving.exception()
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        """Refuse new connections, let requests in flight end."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def unix_listener(path: str) -> socket.socket:
    """A bound Unix socket; its directory is private."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    return listener
