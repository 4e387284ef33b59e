"""One member of a Kafka consumer group.

Partitions move one by one (cooperative rebalancing); one that is taken away is given up when what was read of it has
been committed, so that its next owner does nothing twice, or after some patience. While nobody reads, the partitions
are paused and the member keeps up its membership: a group never waits for a worker that is busy.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata, TopicPartition

from kindred_kit.adapters.kafka_client import DEADLINE_MS, KafkaSettings, message_of, partition_of, translated
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.ports.bus import Message

_SESSION_MS, _HEARTBEAT_MS = 10_000, 2_000
"""A worker that was killed is missed for ten seconds; the client's heartbeats come from a thread of its own."""
_KEEP_UP_S = 0.5
_KEEP_UP_POLL_MS = 50
_REVOCATION_PATIENCE_S = 15.0
_LOOK_S = 0.02
_FAILURES = 5
"""So many polls in a row that failed, where a broker that is away makes them empty: the client itself is broken."""

Partitions = set[TopicPartition]
T = TypeVar("T")


class _Progress:
    """What was read and committed of the partitions that this member has."""

    def __init__(self) -> None:
        self._first: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def read(self, messages: Sequence[Message]) -> None:
        for message in messages:
            partition = partition_of(message)
            self._first.setdefault(partition, message.position)
            self._read[partition] = message.position + 1

    def committable(self, messages: Sequence[Message]) -> dict[TopicPartition, int]:
        """The next offset of each partition; none of one that another member may have by now.

        A partition that went away and came back is read from where the others left it; what was read in its first time
        here must not set it back.
        """
        following: dict[TopicPartition, int] = {}
        for message in messages:
            partition = partition_of(message)
            following[partition] = max(following.get(partition, 0), message.position + 1)
        return {partition: end for partition, end in following.items() if end > self._first.get(partition, end)}

    def committed(self, ends: dict[TopicPartition, int]) -> None:
        self._committed.update(ends)

    def under_way(self, partitions: Partitions) -> bool:
        return any(self._committed.get(each, 0) < self._read[each] for each in partitions if each in self._read)

    def forget(self, partitions: Partitions) -> None:
        for partition in partitions:
            for known in (self._first, self._read, self._committed):
                known.pop(partition, None)


class KafkaGroupMember:
    """Consumer of the bus port. `join` makes it."""

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        self._topic = topic
        self._progress = _Progress()
        self._closing = False
        self._failures = 0
        self._kept_back: list[Message] = []
        self._polled_s = time.monotonic()
        # commits have a thread of their own: a poll that gives a partition up waits for them
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="kafka-read")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix="kafka-commit")
        self._background = BackgroundTasks(group)
        self._client: Any = None
        self._options = {
            **settings.client,
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "partition_assignment_strategy": (CooperativeStickyAssignor,),
            "session_timeout_ms": _SESSION_MS,
            "heartbeat_interval_ms": _HEARTBEAT_MS,
        }

    @classmethod
    async def join(cls, settings: KafkaSettings, topic: str, group: str) -> "KafkaGroupMember":
        """Raises Unavailable where no broker answers."""
        member = cls(settings, topic, group)
        try:
            await member._run(member._reading, member._open)
        except BaseException:
            member._shut_down()
            raise
        member._background.start(member._keep_up(), "membership")
        return member

    async def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        return await self._run(self._reading, lambda: self._poll(max_messages, timeout_s))

    async def commit(self, messages: Sequence[Message]) -> None:
        await self._run(self._committing, lambda: self._commit(messages))

    async def lag(self) -> int:
        return await self._run(self._committing, self._lag)

    async def aclose(self) -> None:
        self._closing = True
        await self._background.aclose()
        with suppress(Exception):  # a broker that is down misses it anyway
            await self._run(self._reading, lambda: self._client.close(timeout_ms=DEADLINE_MS))
        self._shut_down()

    def _open(self) -> None:
        self._client = KafkaConsumer(**self._options)
        self._client.subscribe([self._topic], listener=_Revocations(self._give_up, self._lose))

    def _reopen(self) -> None:
        """What was read and not committed comes again."""
        self._closing = True  # nobody waits for it
        with suppress(Exception):
            self._client.close(timeout_ms=_SESSION_MS)
        self._closing = False
        self._progress, self._kept_back = _Progress(), []
        self._open()
        self._failures = 0

    def _poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        if self._failures >= _FAILURES:
            self._reopen()
        self._failures += 1
        messages = self._poll_once(max_messages, timeout_s)
        self._failures = 0
        return messages

    def _poll_once(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        self._polled_s = time.monotonic()
        if not self._kept_back:
            self._client.resume(*self._client.paused())
            self._kept_back = self._fetch(int(timeout_s * 1000), max_messages)
        messages, self._kept_back = self._kept_back[:max_messages], self._kept_back[max_messages:]
        self._progress.read(messages)
        self._polled_s = time.monotonic()
        return messages

    def _fetch(self, timeout_ms: int, max_messages: int) -> list[Message]:
        batches = self._client.poll(timeout_ms, max_messages)
        return [message_of(record) for batch in batches.values() for record in batch]

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_UP_S)
            if time.monotonic() - self._polled_s > _KEEP_UP_S:
                with suppress(Exception):  # the next poll says what is wrong
                    await self._run(self._reading, self._stay)

    def _stay(self) -> None:
        """Take part in what the group does, without reading: what comes anyway, of new partitions, waits here."""
        self._client.pause(*self._client.assignment())
        self._kept_back += self._fetch(_KEEP_UP_POLL_MS, 1)

    def _commit(self, messages: Sequence[Message]) -> None:
        ends = self._progress.committable(messages)
        if ends:
            offsets = {partition: OffsetAndMetadata(end, "", -1) for partition, end in ends.items()}
            self._client.commit(offsets, DEADLINE_MS)
            self._progress.committed(ends)

    async def _give_up(self, partitions: Partitions) -> None:
        """On the client's own loop, where heartbeats go on."""
        self._kept_back = [message for message in self._kept_back if partition_of(message) not in partitions]
        deadline = time.monotonic() + _REVOCATION_PATIENCE_S
        while self._progress.under_way(partitions) and not self._closing and time.monotonic() < deadline:
            await self._client._net.sleep(_LOOK_S)  # the loop has no public name
        self._progress.forget(partitions)

    def _lose(self, partitions: Partitions) -> None:
        """The group thought that this member was dead: others have them already."""
        self._kept_back = [message for message in self._kept_back if partition_of(message) not in partitions]
        self._progress.forget(partitions)

    def _lag(self) -> int:
        partitions = [TopicPartition(self._topic, n) for n in self._client.partitions_for_topic(self._topic)]
        first = self._client.beginning_offsets(partitions, DEADLINE_MS)
        ends = self._client.end_offsets(partitions, DEADLINE_MS)
        committed = {each: self._client.committed(each, timeout_ms=DEADLINE_MS) for each in partitions}
        return sum(ends[each] - max(committed[each] or 0, first[each]) for each in partitions)

    async def _run(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def in_thread() -> T:
            with translated():
                return work()

        return await asyncio.get_running_loop().run_in_executor(thread, in_thread)

    def _shut_down(self) -> None:
        self._reading.shutdown(wait=False)
        self._committing.shutdown(wait=False)


class _Revocations(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, revoked: Callable[[Partitions], Any], lost: Callable[[Partitions], None]) -> None:
        self._revoked = revoked
        self._lost = lost

    async def on_partitions_assigned(self, assigned: Partitions) -> None:
        return None

    async def on_partitions_revoked(self, revoked: Partitions) -> None:
        await self._revoked(set(revoked))

    async def on_partitions_lost(self, lost: Partitions) -> None:
        self._lost(set(lost))
