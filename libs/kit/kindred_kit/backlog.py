"""Jobs over all images of the catalogue that lack something: look at each, until none is left.

The catalogue says what is left to do: a job that was stopped goes on where it was, and needs no notes of its own.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_kit.errors import KindredError

Image = pb.ListBacklogResponse.Image
_PAGE = 256


@dataclass(frozen=True)
class Step:
    """How far a job is. `done` of `total` lack nothing, `failed` of those that this job looked at still do.

    `image_id`: the one looked at last; `error`: why that failed.
    """

    done: int
    total: int
    failed: int = 0
    image_id: str = ""
    error: KindredError | None = None


async def work_off(
    search: "search_pb2_grpc.SearchServiceAsyncStub",
    request: pb.ListBacklogRequest,
    handle: Callable[[Image], Awaitable[None]],
    concurrency: int,
) -> AsyncIterator[Step]:
    """Hand each image that lacks what `request` says to `handle`, `concurrency` at a time; a step after each.

    An image whose error no retry can help is counted and left; another call tries it again. Any other error ends the
    job. What is under way when the caller goes away is cancelled.
    """
    request = pb.ListBacklogRequest(**{name.name: value for name, value in request.ListFields()})
    request.limit = _PAGE
    answer = await search.ListBacklog(request)
    done, total, failed = answer.total - answer.waiting, answer.total, 0
    yield Step(done, total)
    while answer.images:
        async for image_id, error in _side_by_side(answer.images, handle, concurrency):
            done, failed = done + (error is None), failed + (error is not None)
            yield Step(done, max(total, done + failed), failed, image_id, error)
        request.after_id = answer.images[-1].image_id
        answer = await search.ListBacklog(request)


async def _side_by_side(
    images: Sequence[Image], handle: Callable[[Image], Awaitable[None]], concurrency: int
) -> AsyncIterator[tuple[str, KindredError | None]]:
    async def attempt(image: Image) -> tuple[str, KindredError | None]:
        try:
            await handle(image)
        except KindredError as error:
            if error.retryable:
                raise
            return image.image_id, error
        return image.image_id, None

    waiting = iter(images)
    running: set[asyncio.Task[tuple[str, KindredError | None]]] = set()
    ended: set[asyncio.Task[tuple[str, KindredError | None]]] = set()
    try:
        while True:
            begun = itertools.islice(waiting, concurrency - len(running))
            running |= {asyncio.create_task(attempt(image)) for image in begun}
            if not running:
                return
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                yield await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *ended, return_exceptions=True)
