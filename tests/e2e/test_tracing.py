"""One request id through gateway, embedder and search: the services really talk to each other."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from support.commands import Server, wait_for
from support.photos import noise_jpeg

Line = dict[str, Any]


def lines_of(server: Server, request_id: str) -> list[Line]:
    parsed = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in parsed if line.get("request_id") == request_id]


def calls(lines: list[Line]) -> set[tuple[str, str]]:
    return {(line["service"], line.get("method", "")) for line in lines if line["event"] in {"rpc", "http"}}


def until(server: Server, request_id: str, expected: set[tuple[str, str]]) -> Callable[[], bool]:
    return lambda: expected <= calls(lines_of(server, request_id))


def test_a_search(server: Server, http: httpx.Client) -> None:
    headers = {"X-Request-Id": "req_trace_of_a_search"}
    response = http.post("/v1/search", json={"query": [{"text": "a cat"}]}, headers=headers)
    assert response.status_code == 200
    assert response.headers["X-Request-Id"] == response.json()["id"] == "req_trace_of_a_search"
    expected = {("gateway", "POST"), ("embedder", "EmbedText"), ("search", "Search")}
    wait_for(until(server, "req_trace_of_a_search", expected), server.process)


def test_an_ingest(server: Server, http: httpx.Client) -> None:
    """The worker's write carries the id of the request that brought the image, through outbox and bus."""
    headers = {"X-Request-Id": "req_trace_of_an_ingest"}
    image = noise_jpeg(4711)
    response = http.post("/v1/images", files={"file": ("noise.jpg", image)}, params={"wait": 30}, headers=headers)
    assert (response.status_code, response.json()["state"]) == (201, "indexed")
    expected = {("gateway", "POST"), ("search", "AcceptImages"), ("search", "PutDerived")}
    wait_for(until(server, "req_trace_of_an_ingest", expected), server.process)
    assert http.delete(f"/v1/images/{response.json()['id']}").status_code == 204
