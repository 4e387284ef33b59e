"""The worker loop: read a batch, handle its messages side by side, commit after the writes.

At-least-once: a message is committed when its handler returned, when it was dead-lettered, or never. What a handler
raises decides: an error that no retry can help is poison and goes to `<topic>.dlq`; any other is tried again with
back-off, for ever where a part is down (the offset is held), a few times where the reason is unknown.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError

from kindred.events.v1 import events_pb2 as events
from kindred_kit.context import REQUEST_ID_METADATA, new_request_id, request_id_var
from kindred_kit.errors import EventInvalid, KindredError
from kindred_kit.ports.bus import DEAD_LETTERS, Bus, Consumer, Message, OutgoingMessage
from kindred_kit.telemetry import WORKER_IMAGES, WORKER_LAG, get_logger

Handler = Callable[[events.ImageEvent], Awaitable[None]]
T = TypeVar("T")
OnPoison = Callable[[events.ImageEvent, KindredError], Awaitable[None]]


@dataclass(frozen=True)
class WorkerSettings:
    """`batch_size` messages are read at once, `concurrency` of them handled side by side."""

    topic: str
    group: str
    concurrency: int
    batch_size: int = 32  # twice as many at most are in flight: what a crash makes the next run do again
    poll_timeout_s: float = 1.0
    max_attempts: int = 5  # for errors of unknown kind; known ones are permanent or wait for the part that is down
    backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    lag_interval_s: float = 15.0


@dataclass(frozen=True)
class _Batch:
    messages: Sequence[Message]
    tasks: Sequence["asyncio.Task[None]"]
    ended: "asyncio.Task[None]"


class Worker:
    """One consumer of image events."""

    def __init__(self, settings: WorkerSettings, bus: Bus, handle: Handler, on_poison: OnPoison) -> None:
        self._settings = settings
        self._bus = bus
        self._handle = handle
        self._on_poison = on_poison
        self._latest: dict[str, asyncio.Task[None]] = {}  # image_id -> what is being done to it
        self._log = get_logger(settings.group)
        self._consumer: Consumer | None = None

    async def run(self) -> None:
        """Work until cancelled. A cancelled batch is not committed and comes again.

        Messages are read while earlier ones are worked on, so that no core waits for the slowest image.
        """
        consumer = self._consumer = await self._retrying(self._join)
        slots = asyncio.Semaphore(self._settings.concurrency)
        batches: deque[_Batch] = deque()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell_lag(consumer))
                reading: asyncio.Task[Sequence[Message]] | None = None
                while True:
                    if reading is None and sum(len(batch.messages) for batch in batches) <= self._settings.batch_size:
                        reading = tasks.create_task(self._read(consumer))
                    waited_for = [*([reading] if reading else []), *([batches[0].ended] if batches else [])]
                    await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
                    if reading is not None and reading.done():
                        if messages := reading.result():
                            batches.append(self._begin(messages, tasks, slots))
                        reading = None
                    while batches and batches[0].ended.done():
                        await self._end(batches.popleft(), consumer)
        finally:
            self._consumer = None
            await consumer.aclose()

    async def lag(self) -> int:
        """Messages that are published and not committed yet; 0 while it does not run."""
        return await self._consumer.lag() if self._consumer is not None else 0

    async def _join(self) -> Consumer:
        return await self._bus.consumer(self._settings.topic, self._settings.group)

    async def _tell_lag(self, consumer: Consumer) -> None:
        while True:
            with suppress(KindredError):
                WORKER_LAG.labels(self._settings.group).set(await consumer.lag())
            await asyncio.sleep(self._settings.lag_interval_s)

    async def _read(self, consumer: Consumer) -> Sequence[Message]:
        return await self._retrying(lambda: consumer.poll(self._settings.batch_size, self._settings.poll_timeout_s))

    def _begin(self, messages: Sequence[Message], tasks: asyncio.TaskGroup, slots: asyncio.Semaphore) -> "_Batch":
        begun = []
        for key, same_key in _by_key(messages).items():
            task = tasks.create_task(self._work_in_order(same_key, slots, self._latest.get(key)))
            self._latest[key] = task
            begun.append(task)
        return _Batch(messages, begun, tasks.create_task(_all_done(begun)))

    async def _end(self, batch: "_Batch", consumer: Consumer) -> None:
        for message in batch.messages:
            if self._latest.get(message.key) in batch.tasks:
                del self._latest[message.key]
        await self._retrying(lambda: consumer.commit(batch.messages))

    async def _work_in_order(
        self, messages: Sequence[Message], slots: asyncio.Semaphore, before: "asyncio.Task[None] | None"
    ) -> None:
        """Messages of one image in the order in which they were published, also across batches."""
        if before is not None:
            await asyncio.wait([before])
        for message in messages:
            async with slots:
                await self._work(message)

    async def _work(self, message: Message) -> None:
        request_id_var.set(message.headers.get(REQUEST_ID_METADATA) or new_request_id())
        event = events.ImageEvent()
        first_error = ""
        for attempt in itertools.count(1):
            try:
                _read_event(event, message.payload)
                await self._handle(event)
                WORKER_IMAGES.labels(self._settings.group, "ok").inc()
                return
            except Exception as error:
                failure = error if isinstance(error, KindredError) else _unknown(error)
                first_error = first_error or f"{failure.code}: {failure.detail}"
                if self._is_poison(failure, error, attempt):
                    await self._dead_letter(message, event, failure, first_error, attempt)
                    return
                self._log.warning(
                    "retry", image_id=message.key, attempt=attempt, code=failure.code, detail=failure.detail
                )
                await asyncio.sleep(self._backoff_s(attempt))

    def _is_poison(self, failure: KindredError, error: Exception, attempt: int) -> bool:
        if isinstance(error, KindredError):
            return not failure.retryable
        return attempt >= self._settings.max_attempts

    async def _dead_letter(
        self, message: Message, event: events.ImageEvent, failure: KindredError, first_error: str, attempts: int
    ) -> None:
        letter = events.DeadLetter(
            event=event,
            consumer_group=self._settings.group,
            code=failure.code,
            detail=failure.detail,
            attempts=attempts,
            first_error=first_error,
            last_error=f"{failure.code}: {failure.detail}",
            failed_at_ms=int(time.time() * 1000),
            payload=message.payload,
        )
        key = f"{message.key}/{self._settings.group}"  # of an image's letters the last of each group is kept
        outgoing = OutgoingMessage(key, letter.SerializeToString(), message.headers)
        await self._retrying(lambda: self._bus.publish(f"{self._settings.topic}{DEAD_LETTERS}", [outgoing]))
        if event.image_id:  # else it was no event
            await self._retrying(lambda: self._on_poison(event, failure))
        WORKER_IMAGES.labels(self._settings.group, "dead_letter").inc()
        self._log.warning("dead letter", image_id=message.key, code=failure.code, detail=failure.detail)

    async def _retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds: what the loop itself needs may be down for a while, the offset is held."""
        attempt = 0
        while True:
            try:
                return await call()
            except KindredError as error:
                attempt += 1
                self._log.warning("waiting", code=error.code, detail=error.detail)
                await asyncio.sleep(self._backoff_s(attempt))

    def _backoff_s(self, attempt: int) -> float:
        ceiling: float = min(self._settings.max_backoff_s, self._settings.backoff_s * 2 ** min(attempt, 10))
        return ceiling * random.uniform(0.5, 1.0)


async def _all_done(tasks: Sequence["asyncio.Task[None]"]) -> None:
    await asyncio.wait(tasks)


def _by_key(messages: Sequence[Message]) -> dict[str, list[Message]]:
    groups: dict[str, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.key, []).append(message)
    return groups


def _read_event(event: events.ImageEvent, payload: bytes) -> None:
    """Raises EventInvalid."""
    try:
        event.ParseFromString(payload)
    except DecodeError:
        event.Clear()
    if not event.image_id:
        raise EventInvalid("the message is not an event of an image")


def _unknown(error: Exception) -> KindredError:
    return KindredError(f"{type(error).__name__}: {error}")
