"""A web server of images on 127.0.0.1, with moods."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ImageHost:
    """`files`: path -> bytes. `moods`: path -> statuses answered first, with Retry-After: 0 for 429."""

    files: dict[str, bytes] = field(default_factory=dict)
    moods: dict[str, list[int]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""


@contextmanager
def image_host() -> Iterator[ImageHost]:
    host, lock = ImageHost(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                host.asked[self.path] += 1
                host.at_once += 1
                host.most_at_once = max(host.most_at_once, host.at_once)
                mood = host.moods.get(self.path)
                status = mood.pop(0) if mood else 200 if self.path in host.files else 404
            body = host.files.get(self.path, b"") if status == 200 else b""
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            with lock:
                host.at_once -= 1
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
