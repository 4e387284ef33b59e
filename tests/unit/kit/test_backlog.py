"""Jobs over what lacks something, with a catalogue in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.backlog import Image, Step, work_off
from kindred_kit.errors import ImageMissing, Unavailable

REQUEST = pb.ListBacklogRequest(space="s", since_ms=7)


class Catalogue:
    """`waiting` of `total` images; `done` is taken off it."""

    def __init__(self, total: int, waiting: int) -> None:
        self.total = total
        self.waiting = [f"{number:04d}" for number in range(waiting)]
        self.requests: list[pb.ListBacklogRequest] = []

    async def ListBacklog(self, request: pb.ListBacklogRequest) -> pb.ListBacklogResponse:
        kept = pb.ListBacklogRequest()
        kept.CopyFrom(request)
        self.requests.append(kept)
        page = [image_id for image_id in self.waiting if image_id > request.after_id][: request.limit]
        return pb.ListBacklogResponse(
            images=[Image(image_id=image_id) for image_id in page], waiting=len(self.waiting), total=self.total
        )


async def steps(catalogue: Catalogue, handle: Callable[[Image], Awaitable[None]], concurrency: int = 4) -> list[Step]:
    search: Any = catalogue
    return [step async for step in work_off(search, REQUEST, handle, concurrency)]


async def test_every_image_once_in_pages_and_counted_from_what_was_done_before() -> None:
    catalogue, seen = Catalogue(700, 600), []

    async def handle(image: Image) -> None:
        seen.append(image.image_id)

    made = await steps(catalogue, handle)
    assert sorted(seen) == catalogue.waiting
    assert made[0] == Step(100, 700)
    assert (made[-1].total, made[-1].failed) == (700, 0)
    assert [step.done for step in made] == list(range(100, 701))
    assert {(request.space, request.since_ms) for request in catalogue.requests} == {("s", 7)}
    assert [request.after_id for request in catalogue.requests] == ["", "0255", "0511", "0599"]


async def test_what_no_retry_can_help_is_counted_and_left() -> None:
    async def handle(image: Image) -> None:
        if image.image_id == "0001":
            raise ImageMissing("gone")

    made = await steps(Catalogue(3, 3), handle)
    assert (made[-1].done, made[-1].total, made[-1].failed) == (2, 3, 1)
    [failed] = [step for step in made if step.error is not None]
    assert (failed.image_id, failed.error.code if failed.error else "") == ("0001", "image_missing")


async def test_a_part_that_is_down_ends_the_job_and_what_is_under_way() -> None:
    cancelled = []

    async def handle(image: Image) -> None:
        if image.image_id == "0001":
            raise Unavailable("the catalogue is down")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(image.image_id)
            raise

    with pytest.raises(Unavailable):
        await steps(Catalogue(9, 9), handle)
    assert sorted(cancelled) == ["0000", "0002", "0003"]


async def test_no_more_than_asked_are_under_way() -> None:
    running, most = 0, 0

    async def handle(_: Image) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await steps(Catalogue(30, 30), handle, concurrency=3)
    assert most == 3


async def test_a_caller_that_goes_away_takes_the_work_along() -> None:
    under_way = asyncio.Event()
    cancelled = asyncio.Event()

    async def handle(_: Image) -> None:
        under_way.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(steps(Catalogue(1, 1), handle))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
