"""Dead letters on every bus: given up by a worker, seen, dropped, replayed after what was wrong was mended."""

import asyncio
from collections.abc import Callable

from kindred.events.v1 import events_pb2 as events
from kindred_kit.dead_letters import DeadLetters
from kindred_kit.errors import ImageTruncated, KindredError
from kindred_kit.ports.bus import Bus, OutgoingMessage
from kindred_kit.worker import Worker, WorkerSettings


class Works:
    """A worker whose images fail as long as they are `broken`."""

    def __init__(self, bus: Bus, topic: str, group: str = "embedder-worker") -> None:
        self.broken: set[str] = set()
        self.done: list[str] = []
        self.given_up: list[str] = []
        settings = WorkerSettings(topic, group, concurrency=2, max_attempts=2, backoff_s=0.001, poll_timeout_s=0.2)
        self._worker = Worker(settings, bus, self._handle, self._give_up)

    async def until(self, condition: Callable[[], bool]) -> None:
        running = asyncio.create_task(self._worker.run())
        while not condition() or await self._worker.lag():
            assert not running.done()
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])

    async def _handle(self, event: events.ImageEvent) -> None:
        if event.image_id in self.broken:
            raise ImageTruncated(f"{event.image_id} ends early")
        self.done.append(event.image_id)

    async def _give_up(self, event: events.ImageEvent, error: KindredError) -> None:
        self.given_up.append(event.image_id)


def accepted(*image_ids: str) -> list[OutgoingMessage]:
    return [
        OutgoingMessage(each, events.ImageEvent(image_id=each, seq=3).SerializeToString(), {"x-request-id": "req_1"})
        for each in image_ids
    ]


async def test_what_fails_is_kept_with_its_reason_and_the_rest_goes_on(bus: Bus, topic: str) -> None:
    works = Works(bus, topic)
    works.broken = {"a", "c"}
    await bus.publish(topic, accepted("a", "b", "c", "d"))
    await works.until(lambda: len(works.done) + len(works.given_up) == 4)
    assert sorted(works.done) == ["b", "d"]
    found = {letter.image_id: letter for letter in await DeadLetters(bus, topic).all()}
    assert set(found) == {"a", "c"}
    one = found["a"]
    assert (one.worker, one.code, one.detail, one.seq) == ("embedder-worker", "image_truncated", "a ends early", 3)
    assert (one.attempts, one.first_error, one.last_error) == (1, *["image_truncated: a ends early"] * 2)
    assert one.failed_at_ms > 1_600_000_000_000


async def test_a_replay_after_a_fix_succeeds_and_leaves_no_letter(bus: Bus, topic: str) -> None:
    works, letters = Works(bus, topic), DeadLetters(bus, topic)
    works.broken = {"a", "b"}
    await bus.publish(topic, accepted("a", "b"))
    await works.until(lambda: len(works.given_up) == 2)
    works.broken = {"b"}
    assert await letters.replay(await letters.all()) == 2
    assert await letters.all() == []
    await works.until(lambda: len(works.done) == 1 and len(works.given_up) == 3)
    assert works.done == ["a"]
    [again] = await letters.all()  # what fails once more is there once more
    assert (again.image_id, again.headers["x-request-id"]) == ("b", "req_1")


async def test_two_workers_letters_of_an_image_are_one_event(bus: Bus, topic: str) -> None:
    letters, groups = DeadLetters(bus, topic), ("embedder-worker", "detector-worker")
    for group in groups:  # a file forgets what all groups that it knows have read
        await (await bus.consumer(topic, group)).aclose()
    await bus.publish(topic, accepted("a"))
    for group in groups:
        works = Works(bus, topic, group)
        works.broken = {"a"}
        await works.until(lambda works=works: works.given_up == ["a"])
    found = await letters.all()
    assert {(letter.image_id, letter.worker) for letter in found} == {("a", group) for group in groups}
    before = await bus.published(topic)
    assert await letters.replay(found) == 1
    assert await bus.published(topic) == before + 1


async def test_dropped_letters_are_gone(bus: Bus, topic: str) -> None:
    works, letters = Works(bus, topic), DeadLetters(bus, topic)
    works.broken = {"a", "b"}
    await bus.publish(topic, accepted("a", "b"))
    await works.until(lambda: len(works.given_up) == 2)
    await letters.drop([letter for letter in await letters.all() if letter.image_id == "a"])
    assert [letter.image_id for letter in await letters.all()] == ["b"]
    before = await bus.published(topic)
    assert await letters.replay([]) == 0
    assert await bus.published(topic) == before
