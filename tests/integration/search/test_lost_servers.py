"""PostgreSQL and Kafka are killed while images come in: what was accepted is there once, and is published."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support import databases
from support.kafka_server import KafkaServer
from support.postgres_server import PostgresServer
from support.search_service import SearchService, eventually, image_id, new_image

from kindred.events.v1 import events_pb2 as events
from kindred_kit.adapters.kafka_bus import KafkaBus
from kindred_kit.adapters.kafka_client import KafkaSettings
from kindred_kit.errors import Unavailable


async def test_what_was_accepted_is_there_once_and_published_after_both_were_killed(
    mortal_postgres: PostgresServer, mortal_kafka: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "server", mortal_postgres)
    refused: Counter[str] = Counter()
    names: list[str] = []
    enough = False
    bus = KafkaBus(KafkaSettings.from_url(f"{mortal_kafka.url}?partitions=2", {}))
    async with SearchService(tmp_path, bus=bus) as service:

        async def accept_and_derive() -> None:
            while not enough:
                part = [f"n{len(names) + number}" for number in range(10)]
                await again("accept", lambda part=part: service.accept(*map(new_image, part)))
                for name in part:
                    await again("derive", lambda name=name: service.derive(name))
                names.extend(part)

        async def again(what: str, call: Callable[[], Awaitable[object]]) -> None:
            while True:
                try:
                    await call()
                except Unavailable:
                    refused[what] += 1
                    await asyncio.sleep(0.05)
                else:
                    return

        coming = asyncio.create_task(accept_and_derive())
        for server in (mortal_postgres, mortal_kafka, mortal_postgres):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
        enough = True
        await coming

        async def done() -> bool:
            status = await service.status()
            return status.outbox == 0 and status.indexed == len(names)

        await eventually(done)
        status = await service.status()
        assert (status.images, status.pending, status.failed, status.index_rows) == (len(names), 0, 0, len(names))
        found = await published(bus)
    print(f"refused and called again: {dict(refused)}; events: {len(found)} of {len(names)} images")
    assert refused["accept"] + refused["derive"] > 0, "the faults hit work in flight"
    assert set(found) == {(image_id(name), 1) for name in names}
    assert len(found) < 3 * len(names)


async def published(bus: KafkaBus) -> list[tuple[str, int]]:
    consumer = await bus.consumer("images.v1", "test-reader")
    found = []
    while await consumer.lag():
        messages = await consumer.poll(500, 1.0)
        found += [events.ImageEvent.FromString(message.payload) for message in messages]
        await consumer.commit(messages)
    await consumer.aclose()
    return [(event.image_id, event.seq) for event in found]
