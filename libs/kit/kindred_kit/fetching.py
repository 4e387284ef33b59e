"""Fetch an image from a URL that somebody else wrote, without becoming a way into the network around this machine.

http(s) only, no credentials, public addresses only. The connection goes to the very address that was checked, so a
name that resolves differently a moment later gains nothing; every redirect is checked anew.
"""

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urljoin

import httpcore
import httpx

from kindred_kit.errors import ImageDownloadFailed, ImageTooLarge, KindredError

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> addresses as text."""

MAX_URL_CHARS = 2048
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others in a moment."""
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_WEB_PORTS = frozenset({80, 443})
_FIRST_USER_PORT = 1024


async def resolve(host: str, port: int) -> list[str]:
    """The system's resolver, off the event loop."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


def is_public(address: str) -> bool:
    """Whether an IP address (text) belongs to the public internet, its embedded IPv4 address included."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None or ip.is_site_local:
            return False
        # NAT64 addresses carry an IPv4 address too; ipaddress counts them as reserved, so they are refused below
        inner: list[ipaddress.IPv4Address | None] = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if not all(_is_plain_public(embedded) for embedded in inner if embedded is not None):
            return False
        if ip.ipv4_mapped is not None:
            return True
    return _is_plain_public(ip)


def _is_plain_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


class Fetcher:
    """`allow_private`: also addresses that are not public, for lists that an operator answers for, and for tests."""

    def __init__(
        self,
        max_bytes: int,
        timeout_s: float,
        max_redirects: int = 5,
        concurrency: int = 4,
        resolver: Resolver = resolve,
        allow_private: bool = False,
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._max_redirects = max_redirects
        self._places = asyncio.Semaphore(concurrency)
        self._backend = _CheckedBackend(resolver, allow_private)
        self._allow_private = allow_private

    async def fetch(self, url: str) -> bytes:
        """The body behind `url`. Raises ImageDownloadFailed with the reason, ImageTooLarge."""
        try:
            async with self._places, asyncio.timeout(self._timeout_s):
                return await self._follow(url)
        except TimeoutError:
            raise _again(f"the download took longer than {self._timeout_s:g} s") from None

    async def _follow(self, url: str) -> bytes:
        for _ in range(self._max_redirects + 1):
            target = self._checked(url)
            # one pool per hop: a kept connection must not outlive the check of its address
            async with httpcore.AsyncConnectionPool(network_backend=self._backend, max_connections=1) as pool:
                try:
                    answer = await self._ask(pool, target)
                except KindredError:
                    raise
                except (httpcore.TimeoutException, TimeoutError):
                    raise TimeoutError from None
                except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
                    raise _again(f"the connection to {target.host} failed ({type(error).__name__})") from error
            if isinstance(answer, bytes):
                return answer
            try:
                url = urljoin(str(target), answer)
            except ValueError:
                _fail("the redirect does not name a valid URL")
        _fail(f"the URL redirects more than {self._max_redirects} times")

    async def _ask(self, pool: httpcore.AsyncConnectionPool, target: httpx.URL) -> bytes | str:
        """The body, or where to go next."""
        url = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path or b"/"
        )
        headers: dict[bytes | str, bytes | str] = {
            "Host": target.netloc.decode("ascii"),
            "User-Agent": "Kindred/0.1 (image fetch)",
            "Accept": "image/*",
            # a compressed body could unfold to any size
            "Accept-Encoding": "identity",
        }
        async with pool.stream("GET", url, headers=headers) as response:
            fields = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in fields:
                return fields[b"location"].decode("latin-1")
            if response.status in _PASSING:
                wait = _retry_after_s(fields.get(b"retry-after", b""))
                raise _again(f"{target.host} answered {response.status}", wait)
            if response.status != 200:
                _fail(f"{target.host} answered {response.status}")
            if fields.get(b"content-encoding", b"identity").lower() != b"identity":
                _fail(f"{target.host} answered with a compressed body, which was not asked for")
            length = fields.get(b"content-length", b"0")
            if length.isdigit() and len(length) < 20 and int(length) > self._max_bytes:
                self._too_large()
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._max_bytes:
                    self._too_large()
            return bytes(body)

    def _checked(self, text: str) -> httpx.URL:
        """Parse once; what is parsed here is what is connected to."""
        if len(text) > MAX_URL_CHARS or not text.isprintable() or "\\" in text or " " in text:
            _fail("the URL is too long or has characters that a URL cannot have")
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError):
            _fail("this is not a valid URL")
        if url.scheme not in {"http", "https"}:
            _fail("only http and https URLs are fetched")
        if url.userinfo or "@" in url.netloc.decode("ascii", "replace"):
            _fail("a URL with a user name or password is not fetched")
        if not url.host:
            _fail("the URL names no host")
        if url.port is not None and not 0 < url.port < 1 << 16:
            _fail(f"there is no port {url.port}")
        if self._allow_private:
            return url
        if url.port is not None and url.port not in _WEB_PORTS and url.port < _FIRST_USER_PORT:
            _fail(f"port {url.port} belongs to another service than the web")
        _refuse_odd_numbers(url.host)
        return url

    def _too_large(self) -> NoReturn:
        raise ImageTooLarge(f"the image behind the URL has more than the {self._max_bytes:,} bytes allowed")


def _refuse_odd_numbers(host: str) -> None:
    """Addresses as 2130706433, 0x7f000001 or 017700000001 mean what the system's parser makes of them: refused."""
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or not _NUMERIC_LABEL.fullmatch(last):
        return
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        _fail("an IPv4 address is written as four decimal numbers")


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, checks every answer, connects to a checked address. TLS still verifies the URL's own host name."""

    def __init__(self, resolver: Resolver, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        failure: Exception = OSError("no address")
        for address in addresses:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *_args: Any, **_kwargs: Any) -> httpcore.AsyncNetworkStream:
        _fail("only http and https URLs are fetched")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        host = host.strip("[]")
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            _fail(f"the host {host} is not known")
        if not addresses:
            _fail(f"the host {host} is not known")
        # one private answer among public ones is an attempt, not a mishap
        if not self._allow_private and not all(is_public(address) for address in addresses):
            _fail(f"the host {host} is not on the public internet")
        return list(dict.fromkeys(addresses))


def _again(reason: str, retry_after_s: float | None = None) -> ImageDownloadFailed:
    """A failure after which the same URL may well succeed."""
    error = ImageDownloadFailed(reason, pointer="/url")
    error.retryable, error.retry_after_s = True, retry_after_s
    return error


def _retry_after_s(value: bytes) -> float | None:
    """Seconds of a Retry-After field, which is a number or a date (RFC 9110, 10.2.3); None for anything else."""
    text = value.decode("latin-1").strip()
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, then.timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None


def _fail(reason: str) -> NoReturn:
    raise ImageDownloadFailed(reason, pointer="/url")
