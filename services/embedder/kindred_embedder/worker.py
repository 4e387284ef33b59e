"""Events of accepted images -> embeddings and labels in the catalogue, thumbnails in the object store."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from kindred.events.v1 import events_pb2 as events
from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_embedder.images import EmbeddedImage, ImageEmbedder
from kindred_embedder.space import Space
from kindred_kit.embeddings import embedding_message
from kindred_kit.errors import KindredError
from kindred_kit.grouping import Grouping
from kindred_kit.image_bytes import image_bytes
from kindred_kit.models.convert import detection_messages
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import STAGE_SECONDS

GROUP = 8
"""Images written together: between two passes of the model every write is a cold start, 1.6 ms for one alone."""

_LINGER = timedelta(milliseconds=250)


class EmbedderWorker:
    """Handles events side by side, `concurrency` of them in memory; see kindred_kit.worker for the loop around it."""

    def __init__(
        self,
        space: Space,
        images: ImageEmbedder,
        blobs: BlobStore,
        search: "search_pb2_grpc.SearchServiceAsyncStub",
        thumb_side_px: int,
        concurrency: int,
    ) -> None:
        self._space = space
        self._images = images
        self._blobs = blobs
        self._search = search
        self._thumb_side_px = thumb_side_px
        self._slots = asyncio.Semaphore(concurrency)
        self._writes = Grouping(self._put_derived, GROUP, _LINGER)

    async def handle(self, event: events.ImageEvent) -> None:
        """Idempotent by (image_id, model version): the catalogue overwrites, or ignores what is stale."""
        if event.kind != events.ImageEvent.KIND_INGESTED:
            return  # a deletion leaves nothing to compute
        with self._writes.coming():
            async with self._slots:
                data = await image_bytes(self._blobs, event.image_id, event.blob_key)
                embedded = await self._images.embed(data, thumb_side_px=self._thumb_side_px)
            started = time.perf_counter()
            thumb_key = f"thumbs/{event.image_id[:2]}/{event.image_id}.jpg"
            await self._blobs.put(thumb_key, embedded.thumb)
            await self._writes.put(self._derived(event, embedded, thumb_key))
            STAGE_SECONDS.labels("embedder", "write").observe(time.perf_counter() - started)

    async def on_poison(self, event: events.ImageEvent, error: KindredError) -> None:
        """Tell the catalogue why this image can never be found."""
        failure = pb.Failure(code=error.code, detail=error.detail)
        await self._search.PutFailure(pb.PutFailureRequest(image_id=event.image_id, seq=event.seq, failure=failure))

    async def _put_derived(self, images: Sequence[pb.Derived]) -> None:
        await self._search.PutDerived(pb.PutDerivedRequest(images=images))

    def _derived(self, event: events.ImageEvent, embedded: EmbeddedImage, thumb_key: str) -> pb.Derived:
        model = self._space.image
        derived = pb.Derived(image_id=event.image_id, seq=event.seq, thumb_key=thumb_key)
        derived.embeddings.add(
            view="whole",
            space=model.space,
            model_name=model.name,
            model_version=model.version,
            embedding=embedding_message(embedded.embedding),
        )
        if model.label_set:
            derived.labels.add(
                label_set=model.label_set,
                model_name=model.name,
                model_version=model.version,
                detections=detection_messages(embedded.boxes, model.classes),
            )
        return derived
