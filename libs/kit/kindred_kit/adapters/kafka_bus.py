"""Kafka as the bus of a cluster: one topic of many partitions, ordered per key; dead letters in a compacted one.

The client blocks, so that it has threads of its own; every wait has a deadline.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import TopicPartition

from kindred_kit.adapters.kafka_client import DEADLINE_MS, DEADLINE_S, KafkaSettings, message_of, translated
from kindred_kit.adapters.kafka_consumer import KafkaGroupMember
from kindred_kit.errors import Unavailable
from kindred_kit.ports.bus import DEAD_LETTERS, Message, OutgoingMessage

_EVENTS = {"retention.ms": str(30 * 24 * 3600 * 1000)}
"""A month: a backlog of 30 hours is no reason to hurry, and the catalogue can publish what waits once more."""
_KEPT = {"cleanup.policy": "compact", "retention.ms": "-1"}

T = TypeVar("T")


class KafkaBus:
    """Bus of Kafka brokers. Topics that are not there are made, with the brokers' own replication."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-bus")
        self._producer: Any = None
        self._reader: Any = None
        self._known: set[str] = set()

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        if messages:
            await self._run(lambda: self._publish(topic, [(m.key, m.payload, _headers(m)) for m in messages]))

    async def published(self, topic: str) -> int:
        return await self._run(lambda: sum(self._ends(topic).values()))

    async def kept(self, topic: str) -> Sequence[Message]:
        return await self._run(lambda: self._read_kept(topic))

    async def forget(self, topic: str, keys: Sequence[str]) -> None:
        if keys:
            await self._run(lambda: self._publish(topic, [(key, None, []) for key in keys]))

    async def consumer(self, topic: str, group: str) -> KafkaGroupMember:
        await self._run(lambda: self._make(topic))
        return await KafkaGroupMember.join(self._settings, topic, group)

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        def in_thread() -> T:
            with translated():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    def _publish(self, topic: str, records: Sequence[tuple[str, bytes | None, list[tuple[str, bytes]]]]) -> None:
        self._make(topic)
        if self._producer is None:
            # idempotent and acknowledged by all replicas in sync, which is the library's default
            limits = {"delivery_timeout_ms": DEADLINE_MS, "max_block_ms": DEADLINE_MS, "request_timeout_ms": 5_000}
            self._producer = KafkaProducer(**{**self._settings.client, **limits}, linger_ms=0)
        try:
            sent = [self._producer.send(topic, value, key.encode(), headers) for key, value, headers in records]
            self._producer.flush(DEADLINE_S)
            for future in sent:
                future.get(DEADLINE_S)
        except BaseException:
            # what it still holds would be delivered after what the caller publishes next
            producer, self._producer = self._producer, None
            producer.close(timeout=0)
            raise

    def _make(self, topic: str) -> None:
        if topic in self._known:
            return
        kept = topic.endswith(DEAD_LETTERS)
        shape = {"num_partitions": 1 if kept else self._settings.partitions, "configs": _KEPT if kept else _EVENTS}
        admin = KafkaAdminClient(**self._settings.client)
        try:
            admin.create_topics({topic: shape}, timeout_ms=DEADLINE_MS, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            pass
        finally:
            admin.close()
        self._known.add(topic)

    def _ends(self, topic: str) -> dict[TopicPartition, int]:
        if self._reader is None:
            options = {"allow_auto_create_topics": False, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
            self._reader = KafkaConsumer(**self._settings.client, **options)
        partitions = [TopicPartition(topic, number) for number in sorted(self._reader.partitions_for_topic(topic))]
        found: dict[TopicPartition, int] = self._reader.end_offsets(partitions, DEADLINE_MS) if partitions else {}
        return found

    def _read_kept(self, topic: str) -> Sequence[Message]:
        if not (ends := self._ends(topic)):
            return []
        self._reader.assign(list(ends))
        self._reader.seek_to_beginning(*ends)
        last: dict[str, Message] = {}
        while any(self._reader.position(partition, DEADLINE_MS) < end for partition, end in ends.items()):
            batches = self._reader.poll(DEADLINE_MS)
            if not batches:
                raise Unavailable(f"the event bus does not show what {topic} holds")
            for record in (record for batch in batches.values() for record in batch):
                found = message_of(record)
                last.pop(found.key, None)  # the order is that of the last ones
                if record.value is not None:
                    last[found.key] = found
        return list(last.values())

    def _close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=DEADLINE_S)
        if self._reader is not None:
            self._reader.close()


def _headers(message: OutgoingMessage) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in message.headers.items()]
