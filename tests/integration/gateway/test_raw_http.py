"""Bytes on the wire that no HTTP library would send."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from support.commands import Server

from kindred_standalone.listening import listen


async def exchange(server: Server, request: bytes) -> bytes:
    """Everything that the server says until it closes."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


def host(server: Server) -> bytes:
    return f"Host: {urlsplit(server.url).netloc}\r\nConnection: close\r\n".encode()


@pytest.mark.parametrize(
    ("start", "headers", "status"),
    [
        (b"GET /healthz HTTP/1.1", b"%s", 200),
        (b"GET /healthz HTTP/1.0", b"", 403),
        (b"GET /healthz HTTP/1.1", b"Connection: close\r\n", 403),
        (b"GET /healthz HTTP/1.1", b"%sHost: evil.example\r\n", 403),
        (b"GET http://evil.example/healthz HTTP/1.1", b"Host: evil.example\r\nConnection: close\r\n", 403),
        (b"GET /v1/images/%%ff%%fe HTTP/1.1", b"%s", 404),
        (b"GET /../../etc/passwd HTTP/1.1", b"%s", 404),
        (b"GET /static/..%%2f..%%2fsettings.py HTTP/1.1", b"%s", 404),
        (b"GET /v1/search?q=%%ff%%00 HTTP/1.1", b"%s", 200),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: 99999999999\r\nContent-Type: application/json\r\n", 413),
        (b"GET /v1/search?q=a&q=b HTTP/1.1", b"%s", 422),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}", 200),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]", 422),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}", 415),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: -5\r\n", 400),
        (b"POST /v1/search HTTP/1.1", b"%sContent-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"NONSENSE", b"", 400),
    ],
)
async def test_requests(server: Server, start: bytes, headers: bytes, status: int) -> None:
    filled = headers % host(server) if b"%s" in headers else headers
    answer = await exchange(server, start.replace(b"%%", b"%") + b"\r\n" + filled + b"\r\n")
    assert int(answer.split(b" ", 2)[1]) == status, answer
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400, "malformed_request"),
        (b"GET /healthz HTTP/1.1\r\nX-Request-Id: a\x00b\r\n\r\n", 400, "malformed_request"),
        (b"GET /healthz HTTP/1.1\r\nX-Endless: " + b"a" * 300_000, 431, "headers_too_large"),
    ],
)
async def test_what_is_no_http_has_a_problem_document(
    server: Server, request_bytes: bytes, status: int, code: str
) -> None:
    head, _, body = (await exchange(server, request_bytes)).partition(b"\r\n\r\n")
    assert int(head.split(b" ", 2)[1]) == status
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["detail"]


async def test_a_large_body_is_no_large_head(server: Server) -> None:
    body = b'{"query": [{"text": "' + b"a" * 500_000 + b'"}]}'
    head = b"POST /v1/search HTTP/1.1\r\n" + host(server) + b"Content-Type: application/json\r\n"
    answer = await exchange(server, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert b"at most 2000 characters" in answer


async def test_a_client_that_hangs_up_in_the_middle(server: Server, http: httpx.Client) -> None:
    parts = urlsplit(server.url)
    head = b"POST /v1/images HTTP/1.1\r\n" + host(server) + b"Content-Type: multipart/form-data; boundary=b\r\n"
    for cut in (b"Content-Length: 1000\r\n\r\n--b\r\nContent-Disposition", b"Content-Length: 1000\r\n\r\n"):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head + cut)
        await writer.drain()
        writer.close()
    assert http.get("/healthz").status_code == 200


def test_the_port_counts_in_the_host_header(server: Server, http: httpx.Client) -> None:
    port = urlsplit(server.url).port
    for name, status in ((f"localhost:{port}", 200), (f"localhost:{port + 1}", 403), ("localhost", 403)):  # type: ignore[operator]
        assert http.get("/healthz", headers={"Host": name}).status_code == status


def test_answers_do_not_wait_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener:
        # what asyncio looks at before it sets TCP_NODELAY; without it each answer took 40 ms
        assert listener.proto == socket.IPPROTO_TCP
