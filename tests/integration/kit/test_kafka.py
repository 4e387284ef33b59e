"""Groups of several members, and a broker that dies: what a file as a bus never sees."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from support.kafka_server import KafkaServer

from kindred.events.v1 import events_pb2 as events
from kindred_kit.adapters import kafka_consumer
from kindred_kit.adapters.kafka_bus import KafkaBus
from kindred_kit.adapters.kafka_client import KafkaSettings
from kindred_kit.errors import InvalidArgument, KindredError, Unavailable
from kindred_kit.ports.bus import Consumer, Message, OutgoingMessage
from kindred_kit.worker import Worker, WorkerSettings

GROUP = "workers"
PARTITIONS = 4


@pytest.fixture
def topic() -> str:
    return f"images-{secrets.token_hex(4)}.v1"


@pytest.fixture
async def bus(kafka: KafkaServer) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(KafkaSettings.from_url(f"{kafka.url}?partitions={PARTITIONS}", {}))
    yield bus
    await bus.aclose()


def numbered(count: int, start: int = 0) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"key-{n}", str(n).encode()) for n in range(start, start + count)]


async def read(consumer: Consumer, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        found += await consumer.poll(count - len(found), 1.0)
    return found


async def partitions_of(bus: KafkaBus, topic: str, consumer: Consumer, wanted: int) -> set[int]:
    """Publish until this member has read of so many partitions; all that it reads is committed."""
    seen: set[int] = set()
    while len(seen) < wanted:
        await bus.publish(topic, numbered(20))
        messages = await consumer.poll(1000, 0.5)
        await consumer.commit(messages)
        seen |= {message.partition for message in messages}
    return seen


async def test_what_is_committed_in_time_is_not_read_by_the_next_owner(bus: KafkaBus, topic: str) -> None:
    await bus.publish(topic, numbered(200))
    first = await bus.consumer(topic, GROUP)
    in_flight = await read(first, 200)
    second = await bus.consumer(topic, GROUP)
    joining = asyncio.create_task(second.poll(1000, 5.0))
    await asyncio.sleep(1.5)  # the first, which reads nothing now, is asked for half of its partitions
    await first.commit(in_flight)
    assert list(await joining) == []
    assert await second.lag() == 0
    taken = await partitions_of(bus, topic, second, PARTITIONS // 2)
    assert len(taken) == PARTITIONS // 2
    await first.aclose()
    assert len(await partitions_of(bus, topic, second, PARTITIONS)) == PARTITIONS
    await second.aclose()


async def test_what_is_not_committed_is_read_again_and_a_late_commit_changes_nothing(
    bus: KafkaBus, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "_REVOCATION_PATIENCE_S", 0.2)
    await bus.publish(topic, numbered(200))
    first = await bus.consumer(topic, GROUP)
    in_flight = await read(first, 200)
    second = await bus.consumer(topic, GROUP)
    again: list[Message] = []
    while not again:
        again += await second.poll(1000, 1.0)
    moved = {message.partition for message in again}
    assert 0 < len(moved) < PARTITIONS
    await bus.publish(topic, numbered(200, start=200))
    while sum(int(message.payload) >= 200 for message in again) < 50:
        again += await second.poll(1000, 1.0)
    await second.commit(again)
    before = await second.lag()
    await first.commit([message for message in in_flight if message.partition in moved])
    assert await second.lag() == before
    await first.aclose()
    await second.aclose()


async def test_a_member_that_reads_nothing_holds_up_nobody(bus: KafkaBus, topic: str) -> None:
    first = await bus.consumer(topic, GROUP)
    assert len(await partitions_of(bus, topic, first, PARTITIONS)) == PARTITIONS
    second = await bus.consumer(topic, GROUP)  # the first polls no more
    assert len(await partitions_of(bus, topic, second, PARTITIONS // 2)) == PARTITIONS // 2
    await second.aclose()
    await bus.publish(topic, numbered(100))
    while await first.lag():
        await first.commit(await first.poll(1000, 1.0))
    await first.aclose()


async def test_a_client_that_is_broken_is_made_anew(bus: KafkaBus, topic: str) -> None:
    await bus.publish(topic, numbered(20))
    consumer = await bus.consumer(topic, GROUP)
    await consumer.commit(await read(consumer, 5))
    consumer._client._net.stop()
    consumer._client._net.close()
    found: set[int] = set()
    while len(found) < 15:
        messages = await patiently(consumer.poll, 100, 1.0)
        found |= {int(message.payload) for message in messages}
        await patiently(consumer.commit, messages)
    assert await consumer.lag() == 0
    await consumer.aclose()


async def test_a_broker_that_was_killed_is_unavailable_and_then_goes_on(mortal_kafka: KafkaServer) -> None:
    bus = KafkaBus(KafkaSettings.from_url(mortal_kafka.url, {}))
    await bus.publish("images.v1", numbered(100))
    consumer = await bus.consumer("images.v1", GROUP)
    before = await read(consumer, 60)
    await consumer.commit(before[:30])
    mortal_kafka.kill()
    with pytest.raises(Unavailable):
        await bus.publish("images.v1", numbered(1, start=100))
    with pytest.raises(Unavailable):
        await consumer.commit(before)
    mortal_kafka.start()
    await patiently(bus.publish, "images.v1", numbered(1, start=100))
    await patiently(consumer.commit, before)
    after: list[Message] = []
    while {int(message.payload) for message in before + after} != set(range(101)):
        after += await patiently(consumer.poll, 100, 1.0)
    await patiently(consumer.commit, after)
    assert await consumer.lag() == 0
    await consumer.aclose()
    await bus.aclose()


async def patiently(call, *arguments):  # type: ignore[no-untyped-def]
    """As the worker loop does."""
    while True:
        try:
            return await call(*arguments)
        except Unavailable:
            await asyncio.sleep(0.2)


async def test_workers_come_and_go_and_nothing_is_lost(bus: KafkaBus, topic: str) -> None:
    """The new one and the leaving one cost no more than what was in flight."""
    count, handled = 600, Counter[str]()

    async def handle(event: events.ImageEvent) -> None:
        await asyncio.sleep(0.02)
        handled[event.image_id] += 1

    async def no_poison(event: events.ImageEvent, error: KindredError) -> None:
        raise AssertionError(error)

    def start() -> "asyncio.Task[None]":
        settings = WorkerSettings(topic, GROUP, concurrency=4)
        return asyncio.create_task(Worker(settings, bus, handle, no_poison).run())

    await bus.publish(
        topic, [OutgoingMessage(f"i{n}", events.ImageEvent(image_id=f"i{n}").SerializeToString()) for n in range(count)]
    )
    first = start()
    while len(handled) < 100:
        await asyncio.sleep(0.05)
    second = start()
    while len(handled) < 300:
        await asyncio.sleep(0.05)
    added = handled.total() - len(handled)
    await ended(first)
    while len(handled) < count:
        await asyncio.sleep(0.05)
    await ended(second)
    assert added == 0, "a partition that moves is given up when what was read of it has ended"
    assert handled.total() - count <= 2 * WorkerSettings(topic, GROUP, 4).batch_size


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka://host", "kafka://a:1,b", "kafka://a:1?partitions=0", "kafka://a:1?x=1"]
)
def test_a_wrong_url_says_what_a_right_one_is(url: str) -> None:
    with pytest.raises(InvalidArgument, match="kafka://host:9092"):
        KafkaSettings.from_url(url, {})


def test_several_brokers_and_no_password_shown() -> None:
    found = KafkaSettings.from_url("kafka://a:9092,b:9093?partitions=3", {"sasl_plain_password": "secret"})
    assert (found.servers, found.partitions) == (("a:9092", "b:9093"), 3)
    assert "secret" not in repr(found)
