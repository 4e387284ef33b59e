"""Fetch from other people's servers without being a burden: few at once, back off when asked, give up in the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kindred_kit.errors import ImageDownloadFailed
from kindred_kit.fetching import Fetcher


@dataclass(frozen=True)
class Manners:
    """`first_wait_s` doubles from attempt to attempt, with jitter; a host that asks for more than `longest_wait_s` of
    silence is not waited for."""

    per_host: int = 4
    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 120.0


@dataclass
class _Host:
    places: asyncio.Semaphore
    silent_until: float = field(default=0.0)


class PoliteFetcher:
    """A fetcher whose failures that may pass are tried again."""

    def __init__(
        self,
        fetcher: Fetcher,
        manners: Manners | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._fetcher = fetcher
        self._manners = manners or Manners()
        self._sleep = sleep
        self._hosts: defaultdict[str, _Host] = defaultdict(lambda: _Host(asyncio.Semaphore(self._manners.per_host)))

    async def fetch(self, url: str) -> bytes:
        """The bytes. Raises ImageDownloadFailed, ImageTooLarge."""
        host = self._hosts[_host_of(url)]
        async with host.places:
            for attempt in range(self._manners.attempts):
                while (silence := host.silent_until - time.monotonic()) > 0:
                    await self._sleep(silence)
                try:
                    return await self._fetcher.fetch(url)
                except ImageDownloadFailed as error:
                    if not error.retryable or attempt + 1 == self._manners.attempts:
                        raise
                    await self._wait(host, attempt, error)
        raise AssertionError("the last attempt returns or raises")

    async def _wait(self, host: _Host, attempt: int, error: ImageDownloadFailed) -> None:
        if error.retry_after_s is None:
            await self._sleep(self._manners.first_wait_s * 2**attempt * random.uniform(0.5, 1.5))
            return
        if error.retry_after_s > self._manners.longest_wait_s:
            raise ImageDownloadFailed(f"{error.detail} and asks to be left alone for {error.retry_after_s:.0f} s")
        # all that want something of this host wait, not this one alone
        host.silent_until = max(host.silent_until, time.monotonic() + error.retry_after_s)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
