"""A publisher or mirror on 127.0.0.1 that behaves as told, well or badly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Publisher:
    """`files` by path. `asked` collects (path, Range header) of every request.

    `breaks_after`: bytes of an answer after which the connection goes, for the first `breaks` answers.
    `holds`: half of an answer waits until it is set.
    `statuses` are given first, before anything else is. `misplaced`: a Range answer says another place.
    """

    files: dict[str, bytes]
    asked: list[tuple[str, str]] = field(default_factory=list)
    breaks_after: int = 0
    breaks: int = 0
    ignores_range: bool = False
    misplaced: bool = False
    says_no_length: bool = False
    redirects: int = 0
    redirect_to: str = ""
    statuses: list[int] = field(default_factory=list)
    holds: threading.Event | None = None
    url: str = ""


@contextmanager
def publishing(publisher: Publisher) -> Iterator[Publisher]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, publisher)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    publisher.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hub_path(repository: str, revision: str, path: str | Path) -> str:
    """Where a file lies at a publisher's."""
    return f"/{repository}/resolve/{revision}/{path}"


def _answer(request: BaseHTTPRequestHandler, publisher: Publisher) -> None:
    path, span = request.path, request.headers.get("Range", "")
    publisher.asked.append((path, span))
    if publisher.statuses:
        return _plain(request, publisher.statuses.pop(0))
    if publisher.redirects:
        publisher.redirects -= 1
        request.send_response(302)
        request.send_header("Location", publisher.redirect_to or f"{publisher.url}{path}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return None
    data = publisher.files.get(path.partition("?")[0])
    if data is None:
        return _plain(request, 404)
    start = int(span.removeprefix("bytes=").partition("-")[0]) if span and not publisher.ignores_range else 0
    if start >= len(data) and start:
        return _plain(request, 416)
    ranged = bool(span) and not publisher.ignores_range
    request.send_response(206 if ranged else 200)
    if ranged:
        said = start + 1 if publisher.misplaced else start
        request.send_header("Content-Range", f"bytes {said}-{len(data) - 1}/{len(data)}")
    if publisher.says_no_length:
        request.send_header("Connection", "close")
        request.close_connection = True
    else:
        request.send_header("Content-Length", str(len(data) - start))
    request.end_headers()
    body = data[start:]
    if publisher.breaks:
        publisher.breaks -= 1
        body = body[: publisher.breaks_after]
        request.close_connection = True
    try:
        half = len(body) // 2 if publisher.holds else 0
        request.wfile.write(body[:half])
        if publisher.holds:
            request.wfile.flush()
            publisher.holds.wait(60)
        request.wfile.write(body[half:])
        request.wfile.flush()
    except OSError:
        request.close_connection = True  # who asked has seen enough
    return None


def _plain(request: BaseHTTPRequestHandler, status: int) -> None:
    request.send_response(status)
    request.send_header("Content-Length", "0")
    request.end_headers()
