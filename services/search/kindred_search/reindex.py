"""Build a new generation of the index from the catalogue while searches and writes go on, then swap."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_kit.errors import SpaceMismatch, Unavailable
from kindred_kit.telemetry import get_logger
from kindred_search.catalogue import backlog, collections, projecting
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.domain import Collection
from kindred_search.indexes import Indexes
from kindred_search.projector import BATCH, Projector
from kindred_search.vectors.port import VectorStore


def _activate(connection: Connection, new: Collection, old: Collection | None, request_id: str, now_ms: int) -> None:
    collections.activate(connection, new)
    if old is None or old.space != new.space:
        backlog.wait_again(connection, new.space, request_id, now_ms)


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int
    finished: bool
    index_version: str


class Reindexer:
    """One at a time. `drop_grace`: how long a search that began before the swap may still read the old index."""

    def __init__(
        self, catalogue: Catalogue, vectors: VectorStore, projector: Projector, indexes: Indexes, drop_grace: timedelta
    ) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._projector = projector
        self._indexes = indexes
        self._drop_grace_s = drop_grace.total_seconds()
        self._running = asyncio.Lock()
        self._dropping: set[asyncio.Task[None]] = set()
        self._log = get_logger("search")

    async def run(self, space: str = "") -> AsyncIterator[Progress]:
        """Rebuild and report; `space`: what is searched from then on, empty: what is searched now.

        Raises Unavailable while another reindex runs, SpaceMismatch where no image is embedded into the space.
        """
        if self._running.locked():
            raise Unavailable("a reindex is running already")
        async with self._running:
            active = self._indexes.active
            if active is None:
                yield Progress(0, 0, True, self._indexes.version)
                return
            space = space or active.space
            total = await self._catalogue.read(projecting.embedded_count, space)
            new = await self._begin(active, space)
            try:
                async for done in self._fill(new):
                    yield Progress(done, max(total, done), False, active.name)
                await self._vectors.build_indexes(new.name)
                await self._swap(new)
            finally:
                if self._indexes.building is not None:
                    await self._abandon(new)
            yield Progress(total, total, True, new.name)

    async def aclose(self) -> None:
        """Leave the drops that still wait to the next start."""
        for task in list(self._dropping):
            task.cancel()
        await asyncio.gather(*self._dropping, return_exceptions=True)

    async def _begin(self, active: Collection, space: str) -> Collection:
        dimension = await self._catalogue.read(projecting.dimension_of, space)
        if dimension is None and space != active.space:
            raise SpaceMismatch(f"no image is embedded into {space!r} yet; embed them first:  kindred reindex --embed")
        async with self._projector.write_lock:
            new = await self._catalogue.write(
                collections.begin_generation, space, active.view, dimension or active.dimension
            )
            await self._vectors.create(new.name, new.dimension)
            self._indexes.building = new  # from here on the projector writes every change to both
        return new

    async def _fill(self, new: Collection) -> AsyncIterator[int]:
        after, done = "", 0
        while True:
            # the lock keeps the projector from writing a newer version between this read and this write
            async with self._projector.write_lock:
                batch = await self._catalogue.read(projecting.page, after, BATCH)
                if batch:
                    await self._projector.write(new, batch)
            if not batch:
                return
            after, done = batch[-1].image_id, done + len(batch)
            yield done

    async def _swap(self, new: Collection) -> None:
        async with self._projector.write_lock:
            await self._vectors.optimize(new.name)
            await self._catalogue.write(_activate, new, self._indexes.active, current_request_id(), now_ms())
            self._indexes.active, self._indexes.building = new, None
        self._projector.notify()
        self._log.info("reindexed", index_version=new.name)
        task = asyncio.create_task(self._drop_later())
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _drop_later(self) -> None:
        await asyncio.sleep(self._drop_grace_s)
        await self._projector.drop_replaced()

    async def _abandon(self, new: Collection) -> None:
        """The caller went away or a part failed: the old index stays, the half-built one goes."""
        async with self._projector.write_lock:
            self._indexes.building = None
            await self._catalogue.write(collections.abandon_building)
            await self._projector.drop_replaced()
        self._log.warning("reindex abandoned", collection=new.name)
