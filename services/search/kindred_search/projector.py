"""Catalogue -> index, in batches, by row version. Nobody else writes index rows.

A batch is read, written to the index, then marked. A kill in between repeats the batch, which changes nothing: rows are
whole and keyed by image_id. Whatever changed after the read has a higher row version and stays dirty.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from kindred_kit.adapters.file_references import is_reference
from kindred_kit.errors import IndexDamaged
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import FALLBACKS, get_logger
from kindred_search import access, generating, labels
from kindred_search.catalogue import collections, projecting
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.catalogue.projecting import Projection
from kindred_search.domain import Collection
from kindred_search.indexes import Indexes
from kindred_search.vectors.port import Row, VectorStore

BATCH = 500
"""Images read, written and marked together; about 2 MB of vectors."""

_OPTIMIZE_BATCHES = 50
_OPTIMIZE_ROWS = 4_000
"""Small files and rows beside the vector index make each search slower: about 2 ms for a thousand such rows."""

_OPTIMIZE_ALONE_S = 3.0
"""Writes wait this long for small files to be merged; extending a vector index may take minutes."""

_FIRST_BATCHES = 20
"""Written before the first search is answered: a small gallery is never searched half, a large one starts soon."""

_RETRY_S, _LONGEST_RETRY_S = 1.0, 30.0
"""Doubled from failure to failure: a full disk stays full for longer than a second."""


class Projector:
    """`coalesce`: how long a change waits for others, `interval`: how long it is between two writes at the least.

    A write of one row costs as much as one of fifty.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: VectorStore,
        blobs: BlobStore,
        indexes: Indexes,
        coalesce: timedelta,
        interval: timedelta,
        poll: timedelta,
    ) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._blobs = blobs
        self._indexes = indexes
        self._coalesce_s = coalesce.total_seconds()
        self._interval_s = interval.total_seconds()
        self._poll_s = poll.total_seconds()
        self._wake = asyncio.Event()
        self._batches = 0
        self._rows = 0
        self._optimizing: asyncio.Task[None] | None = None
        self._log = get_logger("search")
        self.write_lock = asyncio.Lock()
        """Held from reading a batch until its rows are in the index, by whoever writes to it."""
        self.burial_lock = asyncio.Lock()
        """Held while bytes of a dead image are removed, and while an image is accepted: it may be the same one."""
        self.swept: set[str] = set()
        """Keys of orphans that were removed: an image whose bytes came just before must not be accepted without any."""

    def notify(self) -> None:
        """Something has changed that the index should know."""
        self._wake.set()

    async def open(self) -> None:
        """Find the active collection; drop what a crash has left half-built; mend an index that has lost rows."""
        await self._catalogue.write(collections.abandon_building)
        await self.drop_replaced()
        try:
            await self._refresh_active()
            if self._indexes.active is None:
                return
            await self._mend(self._indexes.active)
            await self._fill()
        except IndexDamaged as error:
            await self.replace_damaged(error)

    async def _fill(self) -> None:
        """Project what a first search should find."""
        for _ in range(_FIRST_BATCHES):
            if not await self.project_batch():
                return

    async def _mend(self, active: Collection) -> None:
        held = await self._vectors.count(active.name)
        expected = await self._catalogue.read(projecting.indexed_count, active.space)
        if held < expected:
            FALLBACKS.labels("search", "index_rebuilt").inc()
            self._log.warning("the index has lost rows and is filled again", held=held, expected=expected)
            await self._catalogue.write(projecting.mark_all_dirty)
        elif held > await self._catalogue.read(projecting.most_rows):
            raise IndexDamaged("it holds images that the catalogue does not know")

    async def replace_damaged(self, error: IndexDamaged, name: str | None = None) -> None:
        """Search a new, empty generation instead of the damaged one, and project all images into it.

        `name` is the collection that was found damaged; nothing happens where it is not the active one any more.
        """
        async with self.write_lock:
            for damaged in await self._catalogue.read(collections.open_collections, collections.ACTIVE):
                if name is not None and damaged.name != name:
                    return
                FALLBACKS.labels("search", "index_damaged").inc()
                cause = str(error.__cause__ or error)
                self._log.warning("the index is damaged and is built anew", collection=damaged.name, cause=cause)
                begin = collections.begin_generation
                new = await self._catalogue.write(begin, damaged.space, damaged.view, damaged.dimension)
                await self._vectors.create(new.name, new.dimension)
                await self._catalogue.write(collections.activate, new)
                await self._catalogue.write(projecting.mark_all_dirty)
                self._indexes.active = new
        await self._fill()
        self.notify()
        await self.drop_replaced()

    async def drop_replaced(self) -> None:
        """Remove the collections that a reindex has replaced."""
        for old in await self._catalogue.read(collections.open_collections, collections.DROPPING):
            try:
                await self._vectors.drop(old.name)
            except Exception as error:
                self._log.error("a replaced index stays on the disk", collection=old.name, exc_info=error)
                continue
            await self._catalogue.write(collections.forget, old.name)

    async def run(self) -> None:
        """Until cancelled."""
        retry_s = _RETRY_S
        while True:
            self._wake.clear()
            try:
                await self._drain_or_mend()
            except Exception as error:
                FALLBACKS.labels("search", "projector_retry").inc()
                self._log.error("projection failed and is tried again", exc_info=error)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
                continue
            retry_s = _RETRY_S
            try:
                drained_at = time.monotonic()
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
                await self._let_more_arrive(drained_at + self._interval_s)
            except TimeoutError:
                continue

    async def _let_more_arrive(self, until_s: float) -> None:
        """The first change after a quiet time, and the last of a stream, wait little; a stream is written in parts."""
        await asyncio.sleep(self._coalesce_s)
        while (left_s := until_s - time.monotonic()) > 0 and await self._catalogue.read(projecting.workers_have_work):
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), left_s)
            except TimeoutError:
                return
            await asyncio.sleep(self._coalesce_s)

    async def _drain_or_mend(self) -> None:
        try:
            # what has come meanwhile is few: it waits for those that follow it
            while await self.project_batch() == BATCH:
                await self._tidy(idle=True)
            await self._tidy(idle=not self._wake.is_set())
        except IndexDamaged as error:
            await self.replace_damaged(error)

    async def run_index_builds(self) -> None:
        """Until cancelled: build indexes once the collection has grown large enough for them."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if self._indexes.active is not None:
                    await self._vectors.build_indexes(self._indexes.active.name)
            except Exception as error:
                FALLBACKS.labels("search", "index_build_retry").inc()
                self._log.error("building an index failed and is tried again", exc_info=error)

    async def drain(self) -> int:
        """Project until nothing is dirty; returns how many row versions that was."""
        total = 0
        while done := await self.project_batch():
            total += done
            await self._tidy(idle=True)
        return total

    async def project_batch(self) -> int:
        """One batch; returns its size."""
        async with self.write_lock:
            batch = await self._catalogue.read(projecting.dirty, BATCH)
            if not batch:
                return 0
            if self._indexes.active is None:
                await self._refresh_active()
            for collection in self._indexes.written:
                await self.write(collection, batch)
            await self._bury([item for item in batch if item.deleted])
            await self._catalogue.write(projecting.mark_projected, batch, [c.space for c in self._indexes.written])
            return len(batch)

    async def write(self, collection: Collection, batch: Sequence[Projection]) -> None:
        """Make the collection's rows of these images what the catalogue says. The caller holds `write_lock`."""
        rows = [index_row(item, collection.space) for item in batch if _belongs(item, collection)]
        await self._vectors.upsert(collection.name, rows)
        gone = [item.image_id for item in batch if not _belongs(item, collection)]
        if gone:
            await self._vectors.delete(collection.name, gone)
        self._batches += 1
        self._rows += len(rows)

    async def _bury(self, buried: Sequence[Projection]) -> None:
        for item in buried:
            async with self.burial_lock:
                if await self._catalogue.read(projecting.buried_among, [item.image_id]):
                    await self._remove_bytes(item)

    async def _remove_bytes(self, item: Projection) -> None:
        if item.thumb_key:
            await self._blobs.delete(item.thumb_key)
        if not item.blob_key or is_reference(item.blob_key):
            return
        stored = await self._blobs.head(item.blob_key)
        # bytes younger than the burial belong to an upload that is about to be accepted
        if stored is not None and stored.modified_ms <= item.deleted_at_ms:
            await self._blobs.delete(item.blob_key)

    async def _refresh_active(self) -> None:
        active = await self._catalogue.read(collections.open_collections, collections.ACTIVE)
        if active:
            await self._vectors.create(active[0].name, active[0].dimension)
            self._indexes.active = active[0]

    async def _tidy(self, *, idle: bool) -> None:
        enough = self._batches >= _OPTIMIZE_BATCHES or self._rows >= _OPTIMIZE_ROWS
        running = self._optimizing is not None and not self._optimizing.done()
        if not idle or not enough or running or self._indexes.active is None:
            return
        self._batches = self._rows = 0
        async with self.write_lock:
            self._optimizing = asyncio.create_task(self._optimize(self._indexes.active.name))
            await asyncio.wait([self._optimizing], timeout=_OPTIMIZE_ALONE_S)

    async def _optimize(self, collection: str) -> None:
        try:
            await self._vectors.optimize(collection)
        except Exception as error:
            FALLBACKS.labels("search", "index_optimize_failed").inc()
            self._log.error("tidying up the index failed", exc_info=error)

    async def aclose(self) -> None:
        """Wait for no optimisation: an interrupted one leaves the index as it was."""
        if self._optimizing is not None:
            self._optimizing.cancel()
            await asyncio.gather(self._optimizing, return_exceptions=True)


def _belongs(item: Projection, collection: Collection) -> bool:
    vector = item.vectors.get(collection.space)
    return vector is not None and len(vector) == collection.dimension


def index_row(item: Projection, space: str) -> Row:
    """The index row of an embedded image."""
    return Row(
        image_id=item.image_id,
        vector=item.vectors[space],
        row_version=item.row_version,
        access=access.tokens(item.claims),
        labels=labels.tokens(item.labels),
        origin=item.origin,
        format=item.format,
        width=item.width,
        height=item.height,
        ingested_at_ms=item.created_at_ms,
        generation=generating.tokens(item.generations),
    )
