"""Host and Origin: no page of another site reaches the open server."""

import pytest
from starlette.datastructures import Headers
from support.photos import noise_jpeg
from unit.gateway.conftest import StartGateway
from unit.gateway.harness import Gateway

from kindred_gateway.settings import GatewaySettings
from kindred_gateway.sites import HostRefused, OriginRefused, SiteGuard

GUARD = SiteGuard(frozenset({"photos.lan", "box:9000"}))


def check(method: str, *headers: tuple[str, str], port: int | None = 8080) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    GUARD.check(method, Headers(raw=raw), port)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "photos.lan", "photos.lan:1", "box:9000"],
)
def test_own_hosts(host: str) -> None:
    check("POST", ("Host", host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8080", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8080", "127.0.0.1.nip.io:8080",
        "127.0.0.1:8080@evil.example", "box", "box:8080", "", " ", "127.1:8080", "0.0.0.0:8080", "[::]:8080",
        "127.0.0.1:8080:8080", "127.0.0.1:", "localhost:8080/",
    ],
)  # fmt: skip
def test_other_hosts(host: str) -> None:
    with pytest.raises(HostRefused):
        check("GET", ("Host", host))


def test_the_host_header_has_to_be_there_once() -> None:
    with pytest.raises(HostRefused):
        check("GET")
    with pytest.raises(HostRefused):
        check("GET", ("Host", "localhost:8080"), ("Host", "localhost:8080"))


def test_default_port() -> None:
    check("GET", ("Host", "localhost"), port=80)
    check("GET", ("Host", "localhost"), port=None)


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", "http://localhost:3000")],
        [("Origin", "http://127.0.0.1:8080.evil.example")],
        [("Origin", "http://127.0.0.1:8080/path")],
        [("Origin", "http://u@127.0.0.1:8080")],
        [("Origin", "file://")],
        [("Origin", "http://[")],
        [("Origin", "http://127.0.0.1:8080"), ("Origin", "https://evil.example")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ],
)
def test_other_origins(headers: list[tuple[str, str]]) -> None:
    for method in ("POST", "DELETE", "PUT", "PATCH", "FROB"):
        with pytest.raises(OriginRefused):
            check(method, ("Host", "127.0.0.1:8080"), *headers)
    check("GET", ("Host", "127.0.0.1:8080"), *headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "http://127.0.0.1:8080")],
        [("Origin", "http://localhost:8080"), ("Sec-Fetch-Site", "same-origin")],
    ],
)
def test_own_origins(headers: list[tuple[str, str]]) -> None:
    check("POST", ("Host", "127.0.0.1:8080"), *headers)


async def test_a_page_of_another_site_changes_nothing(gateway: Gateway) -> None:
    image_id = await gateway.add()
    stored = dict(gateway.blobs.objects)
    evil = {"Origin": "https://evil.example"}
    deleted = await gateway.http.delete(f"/v1/images/{image_id}", headers=evil)
    posted = await gateway.http.post("/v1/images", files={"file": noise_jpeg(5)}, headers=evil)
    for answer in (deleted, posted):
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert image_id in gateway.search.records
    assert gateway.blobs.objects == stored


async def test_rebinding_is_refused_even_for_reading(gateway: Gateway) -> None:
    answer = await gateway.http.get("/v1/search?q=a", headers={"Host": "evil.example:8080"})
    assert (answer.status_code, answer.json()["code"]) == (403, "host_refused")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_allowed_hosts_are_a_setting(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(allowed_hosts=("Photos.lan",))
    answer = await gateway.http.get("/healthz", headers={"Host": "photos.lan:9000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"host": "192.168.1.2"}, {"open_mode": False}])
def test_unsafe_settings_do_not_start(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="open"):
        GatewaySettings(**settings)  # type: ignore[arg-type]
