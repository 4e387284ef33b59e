"""Contract of the Bus port, on every adapter."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import Unavailable
from kindred_kit.ports.bus import Bus, Message, OutgoingMessage

TOPIC = "images.v1"
PATIENCE_S = 10.0
"""A member of a group waits until the group knows it."""


def outgoing(*payloads: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"key-{payload}", payload.encode(), {"h": payload}) for payload in payloads]


def payloads(messages: Sequence[Message]) -> list[str]:
    return [message.payload.decode() for message in messages]


async def drain(bus: Bus, topic: str, group: str, count: int) -> list[Message]:
    consumer = await bus.consumer(topic, group)
    found: list[Message] = []
    while len(found) < count and (batch := await consumer.poll(100, PATIENCE_S)):
        found += batch
    await consumer.aclose()
    return found


async def test_messages_come_in_order_with_key_and_headers(bus: Bus, topic: str) -> None:
    await bus.publish(topic, outgoing("a", "b"))
    await bus.publish(topic, outgoing("c"))
    messages = await drain(bus, topic, "g", 3)
    assert payloads(messages) == ["a", "b", "c"]
    assert [message.key for message in messages] == ["key-a", "key-b", "key-c"]
    assert dict(messages[0].headers) == {"h": "a"}
    assert {message.topic for message in messages} == {topic}


async def test_a_group_goes_on_after_its_last_commit(bus: Bus, topic: str) -> None:
    await bus.publish(topic, outgoing("a", "b", "c"))
    first = await bus.consumer(topic, "g")
    read = await first.poll(2, PATIENCE_S)
    await first.commit(read[:1])
    await first.aclose()
    assert payloads(await drain(bus, topic, "g", 2)) == ["b", "c"]


async def test_what_is_not_committed_is_delivered_again(bus: Bus, topic: str) -> None:
    await bus.publish(topic, outgoing("a"))
    assert payloads(await drain(bus, topic, "g", 1)) == ["a"]
    assert payloads(await drain(bus, topic, "g", 1)) == ["a"]


async def test_groups_read_on_their_own(bus: Bus, topic: str) -> None:
    await bus.publish(topic, outgoing("a", "b"))
    one, two = await bus.consumer(topic, "one"), await bus.consumer(topic, "two")
    await one.commit(await one.poll(10, PATIENCE_S))
    assert payloads(await two.poll(10, PATIENCE_S)) == ["a", "b"]
    await one.aclose()
    await two.aclose()


async def test_lag_counts_what_is_not_committed(bus: Bus, topic: str) -> None:
    await bus.publish(topic, outgoing("a", "b", "c"))
    consumer = await bus.consumer(topic, "g")
    assert await consumer.lag() == 3
    read = await consumer.poll(2, PATIENCE_S)
    assert await consumer.lag() == 3
    await consumer.commit(read)
    assert await consumer.lag() == 1
    await consumer.aclose()


async def test_a_poll_without_messages_ends(bus: Bus, topic: str) -> None:
    consumer = await bus.consumer(topic, "g")
    assert list(await consumer.poll(10, 0.05)) == []
    await consumer.aclose()


async def test_topics_are_separate(bus: Bus, topic: str) -> None:
    await bus.publish(f"other-{topic}", outgoing("x"))
    await bus.publish(topic, outgoing("a"))
    assert payloads(await drain(bus, topic, "g", 1)) == ["a"]


async def test_what_was_published_is_counted_also_when_it_is_gone(bus: Bus, topic: str) -> None:
    assert await bus.published(topic) == 0
    await bus.publish(topic, outgoing("a", "b"))
    consumer = await bus.consumer(topic, "g")
    await consumer.commit(await consumer.poll(10, PATIENCE_S))
    await consumer.aclose()
    await bus.publish(topic, outgoing("c"))
    assert await bus.published(topic) == 3
    assert await bus.published(f"another-{topic}") == 0


async def test_a_dead_letter_topic_keeps_the_last_of_each_key(bus: Bus, topic: str) -> None:
    topic = f"{topic}.dlq"
    assert list(await bus.kept(topic)) == []
    for payload in ("first", "second"):
        await bus.publish(topic, [OutgoingMessage("a", payload.encode(), {"h": payload})])
        await bus.publish(topic, [OutgoingMessage("b", payload.encode())])
    assert [(message.key, message.payload) for message in await bus.kept(topic)] == [("a", b"second"), ("b", b"second")]
    assert dict((await bus.kept(topic))[0].headers) == {"h": "second"}
    await bus.forget(topic, ["a", "unknown"])
    assert [message.key for message in await bus.kept(topic)] == ["b"]
    await bus.publish(topic, [OutgoingMessage("a", b"third")])
    assert payloads(await bus.kept(topic)) == ["second", "third"]
    await bus.forget(topic, ["a", "b"])
    assert list(await bus.kept(topic)) == []


async def test_the_file_outlives_the_process(tmp_path: Path) -> None:
    first = SqliteBus(tmp_path / "bus.db")
    await first.publish(TOPIC, outgoing("a", "b"))
    consumer = await first.consumer(TOPIC, "g")
    await consumer.commit((await consumer.poll(1, 1.0))[:1])
    await first.aclose()
    second = SqliteBus(tmp_path / "bus.db")
    assert payloads(await drain(second, TOPIC, "g", 1)) == ["b"]
    await second.publish(TOPIC, outgoing("c"))
    assert payloads(await drain(second, TOPIC, "g", 2)) == ["b", "c"]
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
