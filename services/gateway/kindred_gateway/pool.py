"""A bounded thread pool for pixels, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from kindred_kit.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class DecodePool:
    """Runs at most `threads` jobs at a time, holds at most `places` encoded images, lets at most `queue` more wait."""

    def __init__(self, threads: int, places: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="gateway-pixels")
        self._places = asyncio.Semaphore(places)
        self._room = places + queue

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a place while a whole encoded image is in memory. Raises Unavailable when too many wait already."""
        if self._room == 0:
            raise Unavailable("too many images are being read at this moment")
        self._room -= 1
        try:
            async with self._places:
                yield
        finally:
            self._room += 1

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `job` in a thread. Call it inside `slot()`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: job(*args, **kwargs))

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
