"""Malformed and hostile requests: each has its answer, none is a 500."""

import asyncio
import logging
from typing import Any

import orjson
import pytest
from support.photos import noise_jpeg
from unit.gateway.conftest import StartGateway
from unit.gateway.harness import Gateway

from kindred_kit.errors import KindredError

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "route_not_found"),
        ("GET", "/v1/search/", 404, "route_not_found"),
        ("POST", "/v1/matches", 404, "not_available"),
        ("POST", "/knn-service", 404, "not_available"),
        ("PUT", "/v1/search", 405, "method_not_allowed"),
        ("DELETE", "/v1/labels", 405, "method_not_allowed"),
        ("BREW", "/v1/search", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/search", 405, "method_not_allowed"),
    ],
)
async def test_routes(gateway: Gateway, method: str, path: str, status: int, code: str) -> None:
    answer = await gateway.http.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", JSON, 400, "malformed_body"),
        (b"{", JSON, 400, "malformed_body"),
        (b'{"query":[{"text":"a","weight":NaN}]}', JSON, 400, "malformed_body"),
        (b'{"query":[{"text":"a","weight":Infinity}]}', JSON, 400, "malformed_body"),
        (b'{"query":[{"text":"a","weight":1e999}]}', JSON, None, None),
        (b'{"query":[{"text":"\\ud800"}]}', JSON, 400, "malformed_body"),
        (b'{"query":[{"text":"\xff"}]}', JSON, 400, "malformed_body"),
        (b"[" * 100_000, JSON, 400, "malformed_body"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, JSON, 422, "invalid_argument"),
        (
            b'{"query":[{"text":"a"}],"filter":' + b'{"or":[' * 400 + b"{}" + b"]}" * 400 + b"}",
            JSON,
            422,
            "filter_invalid",
        ),
        (b"[]", JSON, 422, "invalid_argument"),
        (b"null", JSON, 422, "invalid_argument"),
        (b"{}", {}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"query=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "malformed_body"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "malformed_body"),
        (b"--b\r\n\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "malformed_body"),
        (b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 422, "invalid_argument"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
            {"Content-Type": "multipart/form-data; boundary=b"},
            422,
            "invalid_argument",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 70_000 + b"\r\n--b--\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
            400,
            "malformed_body",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx' * 3 + b"\r\n--b--\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
            None,
            None,
        ),
    ],
)
async def test_bodies(
    gateway: Gateway, content: bytes, headers: dict[str, str], status: int | None, code: str | None
) -> None:
    answer = await gateway.http.post("/v1/search", content=content, headers=headers)
    problem = answer.json()
    assert 400 <= answer.status_code < 500, problem
    if status is not None:
        assert (answer.status_code, problem["code"]) == (status, code), problem
    assert len(answer.content) < 20_000


async def test_two_files_are_refused(gateway: Gateway) -> None:
    files = [("file", ("a", noise_jpeg(1))), ("file", ("b", noise_jpeg(2)))]
    answer = await gateway.http.post("/v1/search", files=files)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    answer = await gateway.http.post("/v1/search", files={"image": noise_jpeg(1)})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/image")


async def test_a_large_json_body_is_cut_while_it_streams(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_json_bytes=1000)
    sent = 0

    async def stream() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 100
            yield b" " * 100

    answer = await gateway.http.post("/v1/search", content=stream(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert sent <= 1200
    answer = await gateway.http.post("/v1/search", content=b" " * 2000, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_large_multipart_body_is_cut_while_it_streams(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_image_bytes=1000)

    async def stream() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 100_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await gateway.http.post("/v1/images", content=stream(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")


async def test_a_body_that_never_ends_in_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(body_timeout_s=0.05)

    async def stream() -> Any:
        yield b"{"
        await asyncio.sleep(3600)

    answer = await gateway.http.post("/v1/search", content=stream(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-DEF_123", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ("a\tb", False),
        ("é", False),
        ("", False),
    ],
)
async def test_request_ids(gateway: Gateway, given: str, kept: bool) -> None:
    answer = await gateway.http.get("/v1/search?q=a", headers=[(b"x-request-id", given.encode("latin-1"))])
    request_id = answer.headers["x-request-id"]
    assert (request_id == given) is kept
    assert kept or request_id.startswith("req_")
    assert answer.json()["id"] == request_id


async def test_an_unexpected_error_says_nothing_about_the_inside(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret at /srv/kindred/secret.py")

    monkeypatch.setattr("kindred_gateway.routes.labels.label_counts_json", broken)
    with caplog.at_level(logging.CRITICAL):
        answer = await gateway.http.get("/v1/labels")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_details_of_other_services_lose_their_paths(gateway: Gateway) -> None:
    class Odd(KindredError):
        code = "image_unreadable"
        status = KindredError.status.UNPROCESSABLE

    gateway.search.error = Odd("cannot read file:///home/ada/photos/a.jpg nor /home/ada/b.jpg")
    answer = await gateway.http.get("/v1/search?q=a")
    assert (answer.status_code, answer.json()["detail"]) == (422, "cannot read … nor …")


async def test_problems_are_bounded(gateway: Gateway) -> None:
    body = {"query": [{"text": 1, "nonsense" * 1000: 1} for _ in range(64)]}
    answer = await gateway.http.post("/v1/search", content=orjson.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 20_000
