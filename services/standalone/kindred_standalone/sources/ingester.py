"""Bring the items of a source into the gallery: look up, load, hand over, wait until they are searchable.

    items -> [done before?] -> [load, POST /v1/images] -> [wait for the workers]

An item is noted in the checkpoint once its image is durable. A kill in between hands it over once more, which changes
nothing: an image is its bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import DeadlineExceeded, KindredError, Unavailable
from kindred_standalone.connect import LOCAL, Session
from kindred_standalone.ingest import first_error
from kindred_standalone.queries import checked
from kindred_standalone.seen import Seen
from kindred_standalone.sources.checkpoint import Checkpoint
from kindred_standalone.sources.item import Item, Source, SourceInvalid
from kindred_standalone.summary import Problem, Summary
from kindred_standalone.waiting import Waiting

_LOOK_UP_BATCH = 100
_QUEUE = 16
_WORKERS = 16
_POSTS = 4
"""Handed over at once: the gateway decodes on few threads, and holds few images."""
_NOTE_EVERY_S = 0.5
_FINISHED = {"indexed", "failed"}


class Ingester:
    """`defaults`: fields of every item that does not say otherwise. `again`: also what is done already."""

    def __init__(
        self,
        session: Session,
        checkpoint: Checkpoint,
        defaults: Mapping[str, str],
        *,
        summary: Summary,
        again: bool = False,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self.summary = summary
        self._session = session
        self._checkpoint = checkpoint
        self._defaults = defaults
        self._again = again
        self._waiting: Waiting[str] = Waiting(session, self._finished, free_bytes)
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue(_QUEUE)
        self._posts = asyncio.Semaphore(_POSTS)
        self._seen = Seen()
        self._durable: dict[str, str] = {}
        self._noting = asyncio.Lock()

    async def run(self, source: Source) -> None:
        """Returns once each item is searchable or has failed. Raises StorageFull, or Unavailable without workers."""
        started = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(source.items()))
                workers = [tasks.create_task(self._work()) for _ in range(_WORKERS)]
                noter = tasks.create_task(self._note_for_ever())
                waiter = tasks.create_task(self._waiting.run())
                await asyncio.gather(*workers)
                self._waiting.close()
                await waiter
                noter.cancel()
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        finally:
            await self._note()
            self.summary.seconds += time.monotonic() - started

    async def _read(self, items: Iterator[Item]) -> None:
        try:
            while batch := await asyncio.to_thread(lambda: list(islice(items, _LOOK_UP_BATCH))):
                self.summary.total += len(batch)
                known = await self._known(batch)
                for item in batch:
                    if item.identity in known:
                        await self._recognise(item, known[item.identity])
                    else:
                        await self._queue.put(item)
        except SourceInvalid as error:  # what was read before it is good
            self.summary.total += 1
            self._fail(error.detail.partition(":")[0], error)
        for _ in range(_WORKERS):
            await self._queue.put(None)

    async def _known(self, batch: list[Item]) -> dict[str, pb.GetStatesResponse.ImageState]:
        """Identity -> state of those that are done and have not been removed since."""
        if self._again:
            return {}
        done = await asyncio.to_thread(self._checkpoint.known, [item.identity for item in batch])
        if not done:
            return {}
        request = pb.GetStatesRequest(principal=LOCAL, image_ids=sorted(set(done.values())))
        answer = await self._session.call(lambda node: node.search.GetStates(request))
        states = {state.image_id: state for state in answer.states}
        # what the user has removed stays away: it is done, too
        gone = pb.GetStatesResponse.ImageState(state=pb.STATE_DELETED)
        return {identity: states.get(image_id, gone) for identity, image_id in done.items()}

    async def _recognise(self, item: Item, known: pb.GetStatesResponse.ImageState) -> None:
        if known.state == pb.STATE_FAILED:
            self._finished(item.place, known.failure)
        elif known.state in {pb.STATE_INDEXED, pb.STATE_DELETED}:
            self.summary.known += 1
        elif self._seen.again(known.image_id):
            self.summary.duplicates += 1
        else:  # accepted by a run that ended before the workers were done
            await self._waiting.take_room()
            self._waiting.add(known.image_id, item.place)

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            try:
                data = await item.load()
            except KindredError as error:
                self._fail(item.place, error)
                continue
            await self._waiting.take_room()
            try:
                async with self._posts:
                    answer = await self._post(item, data)
            except (Unavailable, DeadlineExceeded):
                raise
            except KindredError as error:
                self._waiting.give_back()
                self._fail(item.place, error)
                continue
            self._place(item, answer)

    async def _post(self, item: Item, data: bytes) -> dict[str, Any]:
        files = {"file": (item.file_name or "image", data)}
        fields = {**self._defaults, **item.fields}
        response = await self._session.call(lambda node: node.http.post("/v1/images", files=files, data=fields))
        return checked(response).body

    def _place(self, item: Item, answer: Mapping[str, Any]) -> None:
        self._durable[item.identity] = answer["id"]
        if self._seen.again(answer["id"]):
            self.summary.duplicates += 1
        elif answer["state"] not in _FINISHED:
            self._waiting.add(answer["id"], item.place)
            return
        elif answer["state"] == "failed":
            failure = answer["failure"] or {"code": "failed", "detail": "it failed before"}
            self._finished(item.place, pb.Failure(**failure))
        else:
            self.summary.known += 1
        self._waiting.give_back()

    def _finished(self, place: str, failure: pb.Failure | None) -> None:
        if failure is None:
            self.summary.indexed += 1
        else:
            self.summary.fail(Problem(place.encode("utf-8", "surrogateescape"), failure.code, failure.detail))

    def _fail(self, place: str, error: KindredError) -> None:
        self._finished(place, pb.Failure(code=error.code, detail=error.detail))

    async def _note_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_NOTE_EVERY_S)
            await self._note()

    async def _note(self) -> None:
        async with self._noting:
            done, self._durable = self._durable, {}
            if done:
                await asyncio.to_thread(self._checkpoint.add, done)
