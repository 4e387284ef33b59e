"""The outbox's way to the bus: in order, by one replica at a time, through crashes and without a storm."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import databases
from support.fakes import MemoryBus
from support.postgres_server import PostgresServer
from support.search_service import SearchService, eventually, image_id, new_image

from kindred.events.v1 import events_pb2 as events
from kindred_kit.errors import Unavailable
from kindred_kit.ports.bus import OutgoingMessage
from kindred_search.catalogue import outbox


class SlowBus(MemoryBus):
    """Notes who publishes at a time, and may fail after it has appended."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most_at_once = self.failures = 0

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await super().publish(topic, messages)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("appended, and nobody knows")


def published(bus: MemoryBus) -> list[tuple[str, int]]:
    found = [events.ImageEvent.FromString(message.payload) for message in bus.topics["images.v1"]]
    return [(event.image_id, event.seq) for event in found]


@pytest.fixture
def replicas_database(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas share no file."""
    monkeypatch.setattr(databases, "server", postgres)


@pytest.mark.usefixtures("replicas_database")
async def test_two_replicas_publish_each_event_once_and_each_image_in_order(tmp_path: Path) -> None:
    bus = SlowBus()
    (tmp_path / "second").mkdir()
    async with SearchService(tmp_path, bus=bus) as one:
        second = SearchService(tmp_path / "second", database=tmp_path / "catalogue.db", bus=bus)
        async with second as two:
            names = [f"n{number}" for number in range(40)]
            for life in range(2):
                for start in range(0, len(names), 10):
                    part = names[start : start + 10]
                    await asyncio.gather(*[service.accept(*map(new_image, part)) for service in (one, two)])
                    await (one, two)[life].delete(*part)

            async def all_published() -> bool:
                return (await one.status()).outbox == 0

            await eventually(all_published)
    found = published(bus)
    assert bus.most_at_once == 1
    assert sorted(found) == sorted((image_id(name), seq) for name in names for seq in (1, 2, 3, 4))
    for name in names:
        assert [seq for ident, seq in found if ident == image_id(name)] == [1, 2, 3, 4]


async def test_a_publication_whose_end_nobody_knows_is_repeated(tmp_path: Path) -> None:
    bus = SlowBus()
    async with SearchService(tmp_path, bus=bus) as service:
        await service.app.tasks.aclose()
        await service.accept(new_image("a"), new_image("b"))
        bus.failures = 1
        with pytest.raises(Unavailable):
            await service.app.relay.drain()
        assert await service.app.relay.drain() == 2
        assert published(bus) == [(image_id("a"), 1), (image_id("b"), 1)] * 2


async def test_a_long_backlog_is_published_once_through_restarts(tmp_path: Path) -> None:
    """Workers are 30 hours behind: every start of the service finds thousands of images that wait, and is content."""
    bus = SlowBus()
    names = [f"n{number}" for number in range(1_200)]
    async with SearchService(tmp_path, bus=bus) as service:
        for start in range(0, len(names), 200):
            await service.accept(*map(new_image, names[start : start + 200]))
        await service.app.relay.drain()
    for _ in range(3):
        async with SearchService(tmp_path, bus=bus) as service:
            await service.app.relay.drain()
            assert (await service.status()).pending == len(names)
            assert await service.app.catalogue.read(outbox.oldest, 1) == []
    assert sorted(published(bus)) == sorted((image_id(name), 1) for name in names)


async def test_a_bus_that_is_down_does_not_keep_the_service_from_starting(tmp_path: Path) -> None:
    class Down(MemoryBus):
        down = True

        async def published(self, topic: str) -> int:
            if self.down:
                raise Unavailable("nobody there")
            return await super().published(topic)

    bus = Down()
    async with SearchService(tmp_path, bus=bus) as service:
        await service.accept(new_image("a"))
        await asyncio.sleep(0.3)
        assert bus.topics == {}
        bus.down = False

        async def there() -> bool:
            return bool(bus.topics)

        await eventually(there)
    assert published(bus) == [(image_id("a"), 1)]
