"""The catalogue for asynchronous callers: each call is one transaction on a small thread pool."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from kindred_kit.context import current_request_id
from kindred_search.catalogue import accepting, deleting, deriving, reading
from kindred_search.catalogue.engine import reading as read_transaction
from kindred_search.catalogue.engine import upgrade, writing
from kindred_search.domain import Accepted, Derived, Failure, ImageRecord, NewImage

P = ParamSpec("P")
T = TypeVar("T")

READ_THREADS = 4
"""A page of records is about a millisecond of work; more threads only queue for the interpreter."""


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Catalogue:
    """Functions of this package by `read(function, *arguments)` and `write(...)`; the common ones by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="catalogue-read")
        # SQLite has one writer at a time: waiting here is fair and costs nothing, waiting in its busy handler sleeps
        writers = 1 if engine.dialect.name == "sqlite" else READ_THREADS
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="catalogue-write")

    async def open(self) -> None:
        """Bring the schema up to date."""
        await asyncio.get_running_loop().run_in_executor(self._writers, upgrade, self._engine)

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a read transaction."""

        def run() -> T:
            with read_transaction(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a write transaction; durable when this returns."""

        def run() -> T:
            with writing(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._writers, run)

    async def accept(self, owner: str, images: Sequence[NewImage]) -> list[Accepted]:
        return await self.write(accepting.accept, owner, images, current_request_id(), now_ms())

    async def remove_claims(self, owner: str, image_ids: Sequence[str]) -> list[str]:
        return await self.write(deleting.remove_claims, owner, image_ids, current_request_id(), now_ms())

    async def put_derived(self, derived: Derived) -> bool:
        return await self.write(deriving.put_derived, derived)

    async def put_failure(self, image_id: str, seq: int, failure: Failure) -> bool:
        return await self.write(deriving.put_failure, image_id, seq, failure)

    async def records(
        self, owner: str, image_ids: Sequence[str], *, with_labels: bool = True
    ) -> dict[str, ImageRecord]:
        return await self.read(reading.records, owner, image_ids, with_labels=with_labels)

    async def aclose(self) -> None:
        """Wait for what runs; the engine stays its owner's."""
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._writers.shutdown)
