"""Fetching URLs: everything that is not a public web server is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from support.photos import noise_jpeg
from unit.gateway.conftest import StartGateway

from kindred_kit.errors import ImageDownloadFailed, ImageTooLarge
from kindred_kit.fetching import Fetcher, is_public

PUBLIC = "93.184.216.34"


async def to_public(host: str, port: int) -> list[str]:
    return [PUBLIC]


async def as_written(host: str, port: int) -> list[str]:
    """What a system's resolver makes of numeric hosts: never reached by names."""
    return [host]


def fetcher(resolver: Callable[[str, int], Awaitable[list[str]]] = as_written, **options: object) -> Fetcher:
    return Fetcher(10_000, 5, resolver=resolver, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.0.0.1:8080/v1/images", "http://[::1]/", "http://169.254.169.254/latest/meta-data",
        "http://10.1.2.3/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/", "http://0.0.0.0/",
        "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/",
        "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::]/", "http://[fe80::1]/", "http://[fc00::1]/",
        "http://[ff02::1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
    ],
)  # fmt: skip
async def test_private_addresses(url: str) -> None:
    with pytest.raises(ImageDownloadFailed, match="public internet"):
        await fetcher().fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://0x7f000001/", "http://2130706433/", "http://017700000001/", "http://127.1/", "http://0x7f.1/",
        "http://0177.0.0.1/", "http://127.0.0.1.0x1/",
    ],
)  # fmt: skip
async def test_addresses_in_odd_notations(url: str) -> None:
    with pytest.raises(ImageDownloadFailed, match=r"four decimal numbers|not a valid URL"):
        await fetcher(to_public).fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/a.jpg", "data:image/png;base64,AAAA",
        "//example.com/a.jpg", "example.com/a.jpg", "", "http://", "http:///a.jpg", "http://user:pw@example.com/",
        "http://user@example.com/", "http://@example.com/", "http://example.com:22/", "http://example.com:6379x/",
        "http://example.com\\@evil.example/", "http://exa mple.com/", "http://example.com/\r\nHost: evil", "http://[::1/",
        "http://example.com:99999/", "http://" + "a" * 3000, "http://example.com:25/", "\x00http://example.com/",
    ],
)  # fmt: skip
async def test_urls_that_are_no_web_address(url: str) -> None:
    with pytest.raises(ImageDownloadFailed):
        await fetcher(to_public).fetch(url)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1"], [], ["not an address"], ["fe80::1%eth0"]]
)
async def test_names_that_resolve_inside(addresses: list[str]) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return addresses

    with pytest.raises(ImageDownloadFailed):
        await fetcher(resolver).fetch("http://innocent.example/a.jpg")


async def test_a_rebinding_name_is_resolved_once_per_connection() -> None:
    answers = [["127.0.0.1"], [PUBLIC]]

    async def resolver(host: str, port: int) -> list[str]:
        return answers.pop()

    hops = fetcher(resolver)
    connected: list[str] = []

    async def connect(host: str, *_: object, **__: object) -> object:
        connected.append(host)
        raise OSError("no network in a test")

    hops._backend._backend.connect_tcp = connect  # type: ignore[assignment]
    with pytest.raises(ImageDownloadFailed, match="connection"):
        await hops.fetch("http://rebind.example/")
    assert connected == [PUBLIC]  # the checked answer, not a second look-up
    with pytest.raises(ImageDownloadFailed, match="public internet"):
        await hops.fetch("http://rebind.example/")
    assert connected == [PUBLIC]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", False),
        ("127.0.0.1", False),
        ("x", False),
    ],
)
def test_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


Reply = Callable[[str], bytes]


class Site:
    """A web server of one answer per path; remembers the requests' heads."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.heads: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        writer.write(self.pages.get(head.split()[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()
        if head.split()[1] == "/slow":
            await reader.read()  # until the client gives up
        writer.close()


def page(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield site


async def test_a_download(site: Site) -> None:
    site.pages["/a.jpg?x=1"] = page(b"picture")
    assert await fetcher(allow_private=True).fetch(site.url + "/a.jpg?x=1") == b"picture"
    (head,) = site.heads
    assert f"Host: {site.url.removeprefix('http://')}" in head
    assert "Accept-Encoding: identity" in head


async def test_redirects_are_followed_to_their_limit(site: Site) -> None:
    for step in range(7):
        site.pages[f"/{step}"] = page(b"", f"Location: /{step + 1}", status="302 Found")
    site.pages["/7"] = page(b"end")
    assert await fetcher(allow_private=True).fetch(site.url + "/2") == b"end"
    with pytest.raises(ImageDownloadFailed, match="more than 5 times"):
        await fetcher(allow_private=True).fetch(site.url + "/1")


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "file:///etc/passwd", "http://0x7f000001/", "http://a@b.example/"]
)
async def test_redirects_are_checked_anew(site: Site, target: str) -> None:
    site.pages["/"] = page(b"", f"Location: {target}", status="301 Moved Permanently")
    port = int(site.url.rpartition(":")[2])
    hops = fetcher(as_written)

    async def connect_to_site(host: str, *args: object, **kwargs: object) -> object:
        assert host == PUBLIC
        return await real("127.0.0.1", port, *args[1:], **kwargs)  # type: ignore[arg-type]

    real = hops._backend._backend.connect_tcp
    hops._backend._backend.connect_tcp = connect_to_site  # type: ignore[method-assign,assignment]
    with pytest.raises(ImageDownloadFailed):
        await hops.fetch(f"http://{PUBLIC}/")
    assert len(site.heads) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (page(b"x" * 20_000), ImageTooLarge),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000, ImageTooLarge),
        (page(b"x", "Content-Encoding: gzip"), ImageDownloadFailed),
        (page(b"", status="404 Not Found"), ImageDownloadFailed),
        (page(b"", status="302 Found"), ImageDownloadFailed),
        (page(b"", "Location: http://[", status="302 Found"), ImageDownloadFailed),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ImageDownloadFailed),
        (b"", ImageDownloadFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ImageDownloadFailed),
    ],
)
async def test_answers_that_are_no_image(site: Site, answer: bytes, error: type[Exception]) -> None:
    site.pages["/"] = answer
    with pytest.raises(error):
        await fetcher(allow_private=True).fetch(site.url + "/")


async def test_a_slow_server(site: Site) -> None:
    site.pages["/slow"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"
    slow = Fetcher(10_000, 0.1, allow_private=True)
    with pytest.raises(ImageDownloadFailed, match=r"longer than 0\.1 s"):
        await slow.fetch(site.url + "/slow")


async def test_ingest_from_a_url(start_gateway: StartGateway, site: Site) -> None:
    gateway = await start_gateway(fetcher=Fetcher(10**6, 5, allow_private=True))
    site.pages["/a.jpg"] = page(noise_jpeg(1))
    site.pages["/a.html"] = page(b"<html></html>", "Content-Type: image/jpeg")
    answer = await gateway.http.post("/v1/images", json={"url": site.url + "/a.jpg", "license": "cc0"})
    assert answer.status_code == 201, answer.text
    record = (await gateway.http.get(answer.headers["location"])).json()
    assert record["rights"]["license"] == "cc0"
    answer = await gateway.http.post("/v1/images", json={"url": site.url + "/a.html"})
    assert (answer.status_code, answer.json()["code"]) == (415, "image_unsupported_format")
    assert answer.json()["errors"][0]["pointer"] == "/url"
    answer = await gateway.http.post("/v1/uploads", json={"url": site.url + "/none"})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_download_failed")


async def test_the_gateways_own_fetcher_is_a_safe_one(start_gateway: StartGateway, site: Site) -> None:
    gateway = await start_gateway()
    for url in (site.url, "http://localhost:8080/", "http://169.254.169.254/", "file:///etc/passwd"):
        answer = await gateway.http.post("/v1/images", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "image_download_failed")
    assert site.heads == []
