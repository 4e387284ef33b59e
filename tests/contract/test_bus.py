"""Contract of the Bus port, on every adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.fakes import MemoryBus

from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import Unavailable
from kindred_kit.ports.bus import Bus, Message, OutgoingMessage

ADAPTERS: dict[str, Callable[[Path], Bus]] = {
    "fake": lambda folder: MemoryBus(),
    "sqlite": lambda folder: SqliteBus(folder / "bus.db"),
}
TOPIC = "images.v1"


@pytest.fixture(params=ADAPTERS)
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    bus = ADAPTERS[request.param](tmp_path)
    yield bus
    await bus.aclose()


def outgoing(*payloads: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"key-{payload}", payload.encode(), {"h": payload}) for payload in payloads]


def payloads(messages: list[Message] | tuple[Message, ...]) -> list[str]:
    return [message.payload.decode() for message in messages]


async def drain(bus: Bus, group: str, count: int) -> list[Message]:
    consumer = await bus.consumer(TOPIC, group)
    found: list[Message] = []
    while len(found) < count and (batch := await consumer.poll(100, 2.0)):
        found += batch
    return found


async def test_messages_come_in_order_with_key_and_headers(bus: Bus) -> None:
    await bus.publish(TOPIC, outgoing("a", "b"))
    await bus.publish(TOPIC, outgoing("c"))
    messages = await drain(bus, "g", 3)
    assert payloads(messages) == ["a", "b", "c"]
    assert [message.key for message in messages] == ["key-a", "key-b", "key-c"]
    assert dict(messages[0].headers) == {"h": "a"}
    assert {message.topic for message in messages} == {TOPIC}


async def test_a_group_goes_on_after_its_last_commit(bus: Bus) -> None:
    await bus.publish(TOPIC, outgoing("a", "b", "c"))
    first = await bus.consumer(TOPIC, "g")
    read = await first.poll(2, 2.0)
    await first.commit(read[:1])
    await first.aclose()
    assert payloads(await drain(bus, "g", 2)) == ["b", "c"]


async def test_what_is_not_committed_is_delivered_again(bus: Bus) -> None:
    await bus.publish(TOPIC, outgoing("a"))
    assert payloads(await drain(bus, "g", 1)) == ["a"]
    assert payloads(await drain(bus, "g", 1)) == ["a"]


async def test_groups_read_on_their_own(bus: Bus) -> None:
    await bus.publish(TOPIC, outgoing("a", "b"))
    one, two = await bus.consumer(TOPIC, "one"), await bus.consumer(TOPIC, "two")
    await one.commit(await one.poll(10, 2.0))
    assert payloads(list(await two.poll(10, 2.0))) == ["a", "b"]


async def test_lag_counts_what_is_not_committed(bus: Bus) -> None:
    await bus.publish(TOPIC, outgoing("a", "b", "c"))
    consumer = await bus.consumer(TOPIC, "g")
    assert await consumer.lag() == 3
    read = await consumer.poll(2, 2.0)
    assert await consumer.lag() == 3
    await consumer.commit(read)
    assert await consumer.lag() == 1


async def test_a_poll_without_messages_ends(bus: Bus) -> None:
    consumer = await bus.consumer(TOPIC, "g")
    assert list(await consumer.poll(10, 0.05)) == []


async def test_topics_are_separate(bus: Bus) -> None:
    await bus.publish("other", outgoing("x"))
    await bus.publish(TOPIC, outgoing("a"))
    assert payloads(await drain(bus, "g", 1)) == ["a"]


async def test_the_file_outlives_the_process(tmp_path: Path) -> None:
    first = SqliteBus(tmp_path / "bus.db")
    await first.publish(TOPIC, outgoing("a", "b"))
    consumer = await first.consumer(TOPIC, "g")
    await consumer.commit((await consumer.poll(1, 1.0))[:1])
    await first.aclose()
    second = SqliteBus(tmp_path / "bus.db")
    assert payloads(await drain(second, "g", 1)) == ["b"]
    await second.publish(TOPIC, outgoing("c"))
    assert payloads(await drain(second, "g", 2)) == ["b", "c"]
    await second.aclose()


async def test_committed_messages_leave_the_file_and_dead_letters_stay(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.db")
    await bus.publish(TOPIC, outgoing("a", "b"))
    await bus.publish(f"{TOPIC}.dlq", outgoing("dead"))
    consumer = await bus.consumer(TOPIC, "g")
    await consumer.commit(await consumer.poll(10, 1.0))
    left = await bus._run(lambda connection: connection.execute("SELECT payload FROM messages").fetchall())
    assert left == [(b"dead",)]
    await bus.aclose()


async def test_a_broken_file_is_unavailable(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.db")
    await bus._run(lambda connection: connection.execute("DROP TABLE messages"))
    with pytest.raises(Unavailable):
        await bus.publish(TOPIC, outgoing("a"))
    await bus.aclose()


async def test_what_was_published_is_counted_also_when_it_is_gone(bus: Bus) -> None:
    assert await bus.published(TOPIC) == 0
    await bus.publish(TOPIC, outgoing("a", "b"))
    consumer = await bus.consumer(TOPIC, "g")
    await consumer.commit(await consumer.poll(10, 2.0))
    await bus.publish(TOPIC, outgoing("c"))
    assert await bus.published(TOPIC) == 3
    assert await bus.published("another") == 0
