"""The worker loop: at-least-once, poison, retries, order per key."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from support.fakes import MemoryBus

from kindred.events.v1 import events_pb2 as events
from kindred_kit.context import REQUEST_ID_METADATA, request_id_var
from kindred_kit.errors import ImageTruncated, KindredError, Unavailable
from kindred_kit.ports.bus import OutgoingMessage
from kindred_kit.worker import Worker, WorkerSettings

TOPIC, GROUP = "images.v1", "embedder-worker"
SETTINGS = WorkerSettings(TOPIC, GROUP, concurrency=4, poll_timeout_s=0.01, backoff_s=0.001, max_backoff_s=0.002)


async def publish(bus: MemoryBus, *image_ids: str) -> None:
    messages = [
        OutgoingMessage(
            image_id,
            events.ImageEvent(image_id=image_id, seq=seq, kind=events.ImageEvent.KIND_INGESTED).SerializeToString(),
            {REQUEST_ID_METADATA: f"req_{seq}"},
        )
        for seq, image_id in enumerate(image_ids, 1)
    ]
    await bus.publish(TOPIC, messages)


async def run_until(worker: Worker, done: Callable[[], bool]) -> None:
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        while not done():
            assert not task.done(), "the worker stopped by itself"
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def no_poison(event: events.ImageEvent, error: KindredError) -> None:
    raise AssertionError(f"{event.image_id} was dead-lettered: {error}")


def committed(bus: MemoryBus) -> int:
    return bus.offsets.get((TOPIC, GROUP), 0)


async def test_commits_only_after_all_writes() -> None:
    bus, seen, gate = MemoryBus(), list[str](), asyncio.Event()

    async def handle(event: events.ImageEvent) -> None:
        await gate.wait()
        seen.append(event.image_id)

    await publish(bus, "a", "b")
    worker = Worker(SETTINGS, bus, handle, no_poison)
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0.05)
    assert committed(bus) == 0
    gate.set()
    async with asyncio.timeout(5):
        while committed(bus) < 2:
            await asyncio.sleep(0.005)
    task.cancel()
    assert sorted(seen) == ["a", "b"]


async def test_a_cancelled_batch_comes_again() -> None:
    bus, seen = MemoryBus(), list[str]()

    async def never(event: events.ImageEvent) -> None:
        seen.append(event.image_id)
        await asyncio.sleep(60)

    async def handle(event: events.ImageEvent) -> None:
        seen.append(event.image_id)

    await publish(bus, "a")
    await run_until(Worker(SETTINGS, bus, never, no_poison), lambda: seen == ["a"])
    assert committed(bus) == 0
    await run_until(Worker(SETTINGS, bus, handle, no_poison), lambda: committed(bus) == 1)
    assert seen == ["a", "a"]


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on() -> None:
    bus, told = MemoryBus(), dict[str, str]()

    async def handle(event: events.ImageEvent) -> None:
        if event.image_id == "bad":
            raise ImageTruncated("cut after 12 bytes")

    async def on_poison(event: events.ImageEvent, error: KindredError) -> None:
        told[event.image_id] = error.code

    await publish(bus, "a", "bad", "b")
    await run_until(Worker(SETTINGS, bus, handle, on_poison), lambda: committed(bus) == 3)
    assert told == {"bad": "image_truncated"}
    [letter] = [events.DeadLetter.FromString(m.payload) for m in bus.topics[f"{TOPIC}.dlq"]]
    assert (letter.event.image_id, letter.code, letter.attempts) == ("bad", "image_truncated", 1)
    assert letter.detail == "cut after 12 bytes"


async def test_a_part_that_is_down_holds_the_offset() -> None:
    bus, attempts = MemoryBus(), 0

    async def handle(event: events.ImageEvent) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= SETTINGS.max_attempts + 3:
            raise Unavailable("search is down")

    await publish(bus, "a")
    await run_until(Worker(SETTINGS, bus, handle, no_poison), lambda: committed(bus) == 1)
    assert attempts == SETTINGS.max_attempts + 4
    assert f"{TOPIC}.dlq" not in bus.topics


async def test_an_unknown_error_is_tried_a_few_times() -> None:
    bus, attempts, told = MemoryBus(), 0, list[str]()

    async def handle(event: events.ImageEvent) -> None:
        nonlocal attempts
        attempts += 1
        raise ZeroDivisionError("a bug")

    async def on_poison(event: events.ImageEvent, error: KindredError) -> None:
        told.append(error.detail)

    await publish(bus, "a")
    await run_until(Worker(SETTINGS, bus, handle, on_poison), lambda: committed(bus) == 1)
    assert attempts == SETTINGS.max_attempts
    assert len(told) == 1
    [letter] = [events.DeadLetter.FromString(m.payload) for m in bus.topics[f"{TOPIC}.dlq"]]
    assert letter.attempts == SETTINGS.max_attempts


@pytest.mark.parametrize("payload", [b"\xff\xff not protobuf", b""])
async def test_what_is_no_event_is_dead_at_once_and_kept_as_it_was(payload: bytes) -> None:
    bus = MemoryBus()

    async def handle(event: events.ImageEvent) -> None:
        raise AssertionError("nothing to handle")

    await bus.publish(TOPIC, [OutgoingMessage("k", payload)])
    await run_until(Worker(SETTINGS, bus, handle, no_poison), lambda: committed(bus) == 1)
    [letter] = [events.DeadLetter.FromString(m.payload) for m in bus.topics[f"{TOPIC}.dlq"]]
    assert (letter.code, letter.attempts, letter.payload) == ("event_invalid", 1, payload)


async def test_messages_of_one_image_stay_in_order_and_others_run_beside() -> None:
    bus, order, running, peak = MemoryBus(), list[tuple[str, int]](), 0, 0

    async def handle(event: events.ImageEvent) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01 if event.seq == 1 else 0.001)
        order.append((event.image_id, event.seq))
        running -= 1

    await publish(bus, "a", "a", "a", "b", "c")
    await run_until(Worker(SETTINGS, bus, handle, no_poison), lambda: committed(bus) == 5)
    assert [seq for image_id, seq in order if image_id == "a"] == [1, 2, 3]
    assert peak == 3


async def test_the_request_id_of_the_cause_is_current_in_the_handler() -> None:
    bus, ids = MemoryBus(), list[str]()

    async def handle(event: events.ImageEvent) -> None:
        ids.append(request_id_var.get())

    await publish(bus, "a", "b")
    handler: Callable[[events.ImageEvent], Awaitable[None]] = handle
    await run_until(Worker(SETTINGS, bus, handler, no_poison), lambda: committed(bus) == 2)
    assert sorted(ids) == ["req_1", "req_2"]


async def test_order_holds_across_batches_and_a_slow_image_holds_up_no_other() -> None:
    bus, order, gate = MemoryBus(), list[str](), asyncio.Event()

    async def handle(event: events.ImageEvent) -> None:
        if (event.image_id, event.seq) == ("slow", 1):
            await gate.wait()
        order.append(f"{event.image_id}{event.seq}")

    await publish(bus, "slow", "b", "slow", "d")  # two batches of two
    settings = dataclasses.replace(SETTINGS, batch_size=2)
    worker = asyncio.create_task(Worker(settings, bus, handle, no_poison).run())
    async with asyncio.timeout(5):
        while len(order) < 2:
            await asyncio.sleep(0.005)
    assert order == ["b2", "d4"]
    assert committed(bus) == 0
    gate.set()
    async with asyncio.timeout(5):
        while committed(bus) < 4:
            await asyncio.sleep(0.005)
    worker.cancel()
    assert order == ["b2", "d4", "slow1", "slow3"]
