"""A process dies between any two steps: the next one converges, nothing is lost, nothing doubled."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.search_service import SearchService, eventually, image_id, new_image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.ports.bus import OutgoingMessage
from kindred_search.catalogue import projecting
from kindred_search.vectors.lancedb_store import LanceDbStore
from kindred_search.vectors.port import Row


class Died(Exception):
    """The process ends here."""


class DyingBus(SqliteBus):
    """Publishes, and dies before anybody learns of it."""

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        await super().publish(topic, messages)
        raise Died


class DyingStore(LanceDbStore):
    """Writes rows, and dies before they are marked as written."""

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        await super().upsert(collection, rows)
        raise Died

    async def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        await super().delete(collection, image_ids)
        raise Died


async def _stopped(service: SearchService) -> SearchService:
    """A service whose background tasks do not run: the test takes each step."""
    await service.app.tasks.aclose()
    return service


async def test_accepted_and_not_published(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await _stopped(service)
        await service.accept(new_image("cat"), new_image("dog"))
    async with SearchService(tmp_path) as service:
        assert [event.image_id for event in await service.published()] == [image_id("cat"), image_id("dog")]
        assert (await service.status()).outbox == 0


async def test_published_and_not_forgotten(tmp_path: Path) -> None:
    async with SearchService(tmp_path, bus=DyingBus(tmp_path / "bus.db")) as service:
        await _stopped(service)
        await service.accept(new_image("cat"))
        with pytest.raises(Died):
            await service.app.relay.drain()
    async with SearchService(tmp_path) as service:
        events = await service.published()
        assert {event.image_id for event in events} == {image_id("cat")}
        assert len({event.event_id for event in events}) == 1  # a duplicate is recognisable as one
        assert (await service.status()).outbox == 0


async def test_derived_and_not_projected(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await _stopped(service)
        await service.accept(new_image("cat"))
        await service.derive("cat")
        assert await service.state("cat") == pb.STATE_DERIVED
    async with SearchService(tmp_path) as service:
        await service.settle()
        assert await service.ids("cat") == [image_id("cat")]
        assert await service.state("cat") == pb.STATE_INDEXED


async def test_projected_and_not_marked(tmp_path: Path) -> None:
    async with SearchService(tmp_path, vectors=DyingStore(tmp_path / "vectors")) as service:
        await _stopped(service)
        await service.accept(new_image("cat"))
        await service.derive("cat")
        with pytest.raises(Died):
            await service.settle()
        assert await service.state("cat") == pb.STATE_DERIVED
    async with SearchService(tmp_path) as service:
        await service.settle()
        status = await service.status()
        assert (status.indexed, status.index_rows) == (1, 1)


async def test_buried_and_not_projected(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("cat")
        await _stopped(service)
        await service.delete("cat")
    async with SearchService(tmp_path) as service:
        await service.settle()
        assert (await service.status()).index_rows == 0
        assert await service.blobs.head(new_image("cat").blob_key) is None


async def test_index_row_removed_and_bytes_left(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("cat")
    async with SearchService(tmp_path, vectors=DyingStore(tmp_path / "vectors")) as service:
        await _stopped(service)
        await service.delete("cat")
        with pytest.raises(Died):
            await service.settle()
        assert await service.blobs.head(new_image("cat").blob_key) is not None
    async with SearchService(tmp_path) as service:
        await service.settle()
        assert await service.blobs.head(new_image("cat").blob_key) is None


async def test_a_change_between_reading_and_marking_is_not_lost(service: SearchService) -> None:
    await service.add("cat")
    await _stopped(service)
    await service.derive("cat", boxes=[("dog", 0.9)])
    stale: list[projecting.Projection] = await service.app.catalogue.read(projecting.dirty, 10)
    await service.derive("cat", boxes=[("car", 0.9)])
    await service.app.catalogue.write(projecting.mark_projected, stale, ["test/1"])
    await service.settle()
    wanted = pb.Filter(labels_all=[pb.LabelTerm(class_name="car", min_score=0.5)])
    assert await service.ids("cat", filter=wanted) == [image_id("cat")]


async def test_an_index_that_is_gone_is_filled_again(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        for name in "abc":
            await service.add(name)
        name = (await service.status()).index_version
        await service.vectors.drop(name)
    async with SearchService(tmp_path) as service:
        await service.settle()
        assert len(await service.ids("a")) == 3
        assert (await service.status()).index_rows == 3


async def test_an_error_of_the_index_is_tried_again(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = service.vectors.upsert

    async def flaky(collection: str, rows: Sequence[Row]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk full")
        await real(collection, rows)

    monkeypatch.setattr(service.vectors, "upsert", flaky)
    await service.accept(new_image("cat"))
    await service.derive("cat")
    await eventually(lambda: _found(service, "cat"))
    assert calls >= 2


async def test_a_catalogue_opens_again_with_its_rows(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("cat", creator="Ann")
    async with SearchService(tmp_path) as service:
        record = await service.record("cat")
        assert record is not None
        assert record.rights.creator == "Ann"


async def _found(service: SearchService, name: str) -> bool:
    return await service.ids(name) == [image_id(name)]
