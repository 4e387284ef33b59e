"""Compare catalogue, object store and vector index while they are in use, and set right what does not agree.

What is found at a first look is looked at again before it is told: an image may have been accepted, projected or
removed in between. What is younger than `min_age` is left alone, since bytes come before their record.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kindred_kit.adapters.file_references import is_reference, still_holds
from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_kit.ports.blobs import BlobStore
from kindred_search.catalogue import inspecting, projecting
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.catalogue.inspecting import Holding
from kindred_search.domain import State
from kindred_search.indexes import Indexes
from kindred_search.projector import Projector
from kindred_search.relay import Relay
from kindred_search.vectors.port import And, Compare, VectorStore

Kind = Literal[
    "blob_orphan", "thumb_orphan", "blob_missing", "thumb_missing", "file_missing", "embedding_missing", "stuck_stored",
    "stuck_derived", "index_missing", "index_stale", "index_orphan",
]  # fmt: skip

_PREFIXES = [f"{n:02x}" for n in range(256)]
_FOLDERS: dict[str, Kind] = {"images": "blob_orphan", "thumbs": "thumb_orphan"}
_PART = 500
_WINDOW_ROWS = 5_000
_SURELY_LOST_MS = 48 * 3_600_000
"""No backlog is so long. Before that, an image counts as stuck once a newer one has overtaken it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject`: an image id, or the key of an object."""

    kind: Kind
    subject: str
    fixed: bool


class Doctor:
    def __init__(
        self,
        catalogue: Catalogue,
        vectors: VectorStore,
        blobs: BlobStore,
        indexes: Indexes,
        projector: Projector,
        relay: Relay,
    ) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._blobs = blobs
        self._indexes = indexes
        self._projector = projector
        self._relay = relay

    async def inspect(self, min_age_ms: int, *, fix: bool) -> AsyncIterator[Finding]:
        """All that does not agree, each told once; with `fix` what can be set right is."""
        for prefix in _PREFIXES:
            before_ms = now_ms() - min_age_ms
            held = await self._catalogue.read(inspecting.of_prefix, prefix, self._space)
            stored: set[str] = set()
            for folder, kind in _FOLDERS.items():
                there = {info.key: info.modified_ms async for info in self._blobs.list(f"{folder}/{prefix}")}
                stored |= there.keys()
                old = [key for key, modified_ms in there.items() if modified_ms <= before_ms]
                async for finding in self._orphans(old, kind, held, before_ms, fix=fix):
                    yield finding
            suspects = await self._suspects(held, before_ms, stored)
            again = await self._catalogue.read(inspecting.of_ids, sorted(suspects), self._space)
            confirmed = await self._suspects(list(again.values()), before_ms, set())
            for image_id, kind in confirmed.items():
                if suspects.get(image_id) == kind:
                    yield Finding(kind, image_id, fix and await self._repair(kind, again[image_id]))
        async for finding in self._index_orphans(fix=fix):
            yield finding
        if fix:
            self._relay.notify()
            self._projector.notify()

    @property
    def _space(self) -> str:
        return self._indexes.active.space if self._indexes.active else ""

    # objects that no image has

    async def _orphans(
        self, stored: Sequence[str], kind: Kind, held: Sequence[Holding], before_ms: int, *, fix: bool
    ) -> AsyncIterator[Finding]:
        keys = {holding.blob_key for holding in held} | {holding.thumb_key for holding in held}
        for key in stored:
            if key not in keys and await self._is_orphan(key, before_ms):
                yield Finding(kind, key, fix and await self._remove(key, before_ms))

    async def _is_orphan(self, key: str, before_ms: int) -> bool:
        image_id = key.rpartition("/")[2].partition(".")[0]
        held = (await self._catalogue.read(inspecting.of_ids, [image_id], self._space)).get(image_id)
        if held is not None and (key in {held.blob_key, held.thumb_key} or held.state is State.STORED):
            return False
        stored = await self._blobs.head(key)
        return stored is not None and stored.modified_ms <= before_ms

    async def _remove(self, key: str, before_ms: int) -> bool:
        async with self._projector.burial_lock:  # nothing is accepted meanwhile
            if not await self._is_orphan(key, before_ms):
                return False
            # whoever has put these bytes a moment ago and is accepted next is told to put them again
            self._projector.swept.add(key)
            await self._blobs.delete(key)
        return True

    # images that lack something

    async def _suspects(self, held: Sequence[Holding], before_ms: int, stored: set[str]) -> dict[str, Kind]:
        """Image id -> what it lacks. `stored`: keys that were listed a moment ago; all others are asked for."""
        found: dict[str, Kind] = {}
        newest_ms = await self._catalogue.read(inspecting.newest_embedded_ms) if held else 0
        for start in range(0, len(held), _PART):
            part = held[start : start + _PART]
            versions = await self._versions([holding.image_id for holding in part if holding.searchable])
            for holding in part:
                kind = await self._lacks(holding, versions, before_ms, newest_ms, stored)
                if kind is not None:
                    found[holding.image_id] = kind
        return found

    async def _lacks(
        self, holding: Holding, versions: dict[str, int], before_ms: int, newest_ms: int, stored: set[str]
    ) -> Kind | None:
        old = holding.created_at_ms <= before_ms
        if holding.state is State.FAILED or not old:
            return None
        if is_reference(holding.blob_key):
            if not await asyncio.to_thread(still_holds, holding.blob_key, holding.byte_size, holding.mtime_ns):
                return "file_missing"
        elif not await self._is_stored(holding.blob_key, stored):
            return "blob_missing"
        if holding.state is State.STORED:
            lost = holding.created_at_ms < max(newest_ms, now_ms() - _SURELY_LOST_MS)
            return "stuck_stored" if lost and not holding.in_outbox else None
        if not holding.embedded:
            return "embedding_missing" if self._space and not holding.in_outbox else None
        if holding.thumb_key and not holding.in_outbox and not await self._is_stored(holding.thumb_key, stored):
            return "thumb_missing"
        if holding.dirty:  # the projector is about to
            return None
        if holding.image_id not in versions:
            return "index_missing"
        if versions[holding.image_id] != holding.row_version:
            return "index_stale"
        return "stuck_derived" if holding.state is State.DERIVED else None

    async def _is_stored(self, key: str, stored: set[str]) -> bool:
        return key in stored or await self._blobs.head(key) is not None

    async def _versions(self, image_ids: Sequence[str]) -> dict[str, int]:
        active = self._indexes.active
        return await self._vectors.versions(active.name, image_ids) if active is not None and image_ids else {}

    async def _repair(self, kind: Kind, holding: Holding) -> bool:
        match kind:
            case "index_missing" | "index_stale" | "stuck_derived":
                await self._catalogue.write(inspecting.project_again, [holding.image_id])
            case "stuck_stored" | "embedding_missing" | "thumb_missing":
                as_new = kind == "embedding_missing"
                request = (current_request_id(), now_ms())
                await self._catalogue.write(inspecting.send_again, [holding], *request, as_new=as_new)
            case "blob_missing":
                await self._catalogue.write(inspecting.lost_bytes, holding)
            case _:  # a file of the user's is where the user has put it
                return False
        return True

    # index rows that no image has

    async def _index_orphans(self, *, fix: bool) -> AsyncIterator[Finding]:
        active = self._indexes.active
        if active is None:
            return
        async for ids in self._index_ids(active.name, 0, 2**62):
            for start in range(0, len(ids), _PART):
                suspects = await self._without_image(ids[start : start + _PART])
                if not suspects:
                    continue
                async with self._projector.write_lock:  # what is projected now is in both or in neither
                    orphans = sorted(await self._without_image(suspects))
                    if fix and orphans:
                        await self._vectors.delete(active.name, orphans)
                for image_id in orphans:
                    yield Finding("index_orphan", image_id, fix)

    async def _without_image(self, ids: Sequence[str]) -> list[str]:
        held = await self._catalogue.read(inspecting.of_ids, ids, self._space)
        going = await self._catalogue.read(projecting.dirty_among, ids)
        return [i for i in ids if i not in going and not (i in held and held[i].searchable)]

    async def _index_ids(self, collection: str, first_ms: int, last_ms: int) -> AsyncIterator[Sequence[str]]:
        """All ids, by windows of time that hold few rows each."""
        window = And((Compare("ingested_at_ms", "gte", first_ms), Compare("ingested_at_ms", "lte", last_ms)))
        limit = _WINDOW_ROWS if first_ms < last_ms else 2**31 - 1
        ids = await self._vectors.passing(collection, window, limit)
        if len(ids) < limit:
            yield ids
            return
        middle_ms = (first_ms + last_ms) // 2
        for half in ((first_ms, middle_ms), (middle_ms + 1, last_ms)):
            async for part in self._index_ids(collection, *half):
                yield part
