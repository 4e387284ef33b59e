"""Embed the catalogue's images that have no embedding of this space: after a change of models, or a lost event log."""

import asyncio
from collections.abc import AsyncIterator

from kindred.embedder.v1 import embedder_pb2 as pb
from kindred.events.v1 import events_pb2 as events
from kindred.search.v1 import search_pb2, search_pb2_grpc
from kindred_embedder.worker import EmbedderWorker
from kindred_kit.backlog import Image, Step, work_off
from kindred_kit.errors import KindredError, Unavailable


class EmbeddingBacklog:
    """One run at a time; does to an image what the worker does at its event."""

    def __init__(
        self, worker: EmbedderWorker, space: str, search: "search_pb2_grpc.SearchServiceAsyncStub", concurrency: int
    ) -> None:
        self._worker = worker
        self._space = space
        self._search = search
        self._concurrency = concurrency
        self._running = asyncio.Lock()

    async def run(self) -> AsyncIterator[pb.EmbedBacklogProgress]:
        """A message after each image. Raises Unavailable while another call runs."""
        if self._running.locked():
            raise Unavailable("the images are being embedded already")
        async with self._running:
            request = search_pb2.ListBacklogRequest(space=self._space)
            step = Step(0, 0)
            async for step in work_off(self._search, request, self._embed, self._concurrency):
                yield self._progress(step)
            yield self._progress(step, finished=True)

    async def _embed(self, image: Image) -> None:
        ingested = events.ImageEvent.KIND_INGESTED
        event = events.ImageEvent(kind=ingested, image_id=image.image_id, seq=image.seq, blob_key=image.blob_key)
        try:
            await self._worker.handle(event)
        except KindredError as error:
            if not error.retryable:
                await self._worker.on_poison(event, error)
            raise

    def _progress(self, step: Step, *, finished: bool = False) -> pb.EmbedBacklogProgress:
        return pb.EmbedBacklogProgress(
            done=step.done, total=step.total, failed=step.failed, space=self._space, finished=finished
        )
