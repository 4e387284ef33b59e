"""What many tasks write one by one, written together: a transaction of eight costs little more than one of one.

A group is written once it is full, once all who may still write wait for it already, or after a while: nobody waits for
a neighbour that will not come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic, TypeVar

from kindred_kit.errors import KindredError

T = TypeVar("T")


class Grouping(Generic[T]):
    """`write` takes 1 to `most` items and is all or nothing: where it refuses a group, each item is tried alone."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[object]], most: int, linger: timedelta) -> None:
        self._write = write
        self._most = most
        self._linger_s = linger.total_seconds()
        self._coming = 0
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Around work that may end in a `put`."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._write_if_complete()

    async def put(self, item: T) -> None:
        """Returns once the item is written. Raises what `write` raises of it."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        self._write_if_complete()
        await written

    def _write_if_complete(self) -> None:
        if self._waiting and len(self._waiting) >= min(self._most, max(self._coming, 1)):
            self._write_waiting()
        elif self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._write_waiting)

    def _write_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group = [(item, written) for item, written in self._waiting if not written.done()]
        self._waiting.clear()
        if group:
            task = asyncio.create_task(self._write_group(group))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write_group(self, group: Sequence[tuple[T, "asyncio.Future[None]"]]) -> None:
        try:
            await self._write([item for item, _ in group])
        except Exception as error:
            if len(group) > 1 and isinstance(error, KindredError) and not error.retryable:
                for one in group:  # what is wrong with one must not be said of the others
                    await self._write_group([one])
                return
            for written in _still_awaited(group):
                written.set_exception(error)
        else:
            for written in _still_awaited(group):
                written.set_result(None)


def _still_awaited(group: Sequence[tuple[T, "asyncio.Future[None]"]]) -> "list[asyncio.Future[None]]":
    """Without those whose task was cancelled meanwhile."""
    return [written for _, written in group if not written.done()]
