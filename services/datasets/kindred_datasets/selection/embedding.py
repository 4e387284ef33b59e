"""Photos that were given -> embeddings, kept as checkpoints: a holdout of thousands is embedded once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.embedder.v1 import embedder_pb2
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Progress, Stage
from kindred_datasets.leasing import Lease
from kindred_datasets.store import checkpoints
from kindred_datasets.store.checkpoints import GivenView
from kindred_kit.errors import BlobNotFound, ImageError, InvalidRegion, KindredError

FAILURE, HOLDOUT = "failure", "holdout"
_BATCH = 32


@dataclass(frozen=True, slots=True)
class _View:
    """What is to be embedded; a gallery photo's blob key is looked up by `image_id`."""

    role: str
    position: int
    view: int
    blob_key: str
    image_id: str
    region: embedder_pb2.Region | None


async def embed_given(
    gallery: Gallery, lease: Lease, spec: pb.DatasetSpec, progress: Progress, concurrency: int
) -> list[GivenView]:
    """All views of failure photos and holdout; one that can't be looked at has an error. Raises Unavailable."""
    wanted = list(_views(spec))
    known = await lease.store.read(checkpoints.given_views, lease.dataset_id)
    done = {(view.role, view.position, view.view) for view in known}
    todo = [view for view in wanted if (view.role, view.position, view.view) not in done]
    progress.begin(Stage.EMBED, len(wanted))
    progress.done = len(known)
    progress.failed = sum(1 for view in known if view.error_code)
    keys = {
        record.image_id: record.blob_key
        async for record in gallery.records(sorted({view.image_id for view in todo if view.image_id}))
    }
    async for batch in _embedded(gallery, todo, keys, concurrency):
        await lease.store.write(checkpoints.put_given, lease.builder, lease.dataset_id, batch)
        known += batch
        progress.done += len(batch)
        progress.failed += sum(1 for view in batch if view.error_code)
    return sorted(known, key=lambda view: (view.role, view.position, view.view))


def _views(spec: pb.DatasetSpec) -> Iterator[_View]:
    for position, photo in enumerate(spec.failures.photos):
        if photo.given.blob_key:  # the whole of a gallery photo is embedded already
            yield _View(FAILURE, position, 0, photo.given.blob_key, "", None)
        for view, box in enumerate(photo.missed, 1):
            region = embedder_pb2.Region(x=box.x_min, y=box.y_min, w=box.x_max - box.x_min, h=box.y_max - box.y_min)
            yield _View(FAILURE, position, view, photo.given.blob_key, photo.image_id, region)
    for position, given in enumerate(spec.holdout):
        yield _View(HOLDOUT, position, 0, given.blob_key, "", None)


async def _embedded(
    gallery: Gallery, views: Sequence[_View], keys: dict[str, str], concurrency: int
) -> AsyncIterator[list[GivenView]]:
    room = asyncio.Semaphore(concurrency)

    async def embed(view: _View) -> GivenView:
        async with room:
            return await _embed(gallery, view, view.blob_key or keys.get(view.image_id, ""))

    for start in range(0, len(views), _BATCH):
        yield await asyncio.gather(*(embed(view) for view in views[start : start + _BATCH]))


async def _embed(gallery: Gallery, view: _View, blob_key: str) -> GivenView:
    place = (view.role, view.position, view.view)
    try:
        if not blob_key:
            raise BlobNotFound("the image is gone from the gallery")
        vector, space = await gallery.embed(blob_key, view.region)
    except (BlobNotFound, ImageError, InvalidRegion) as error:
        return GivenView(*place, "", None, error.code, error.detail)
    except KindredError as error:
        if error.retryable:
            raise
        return GivenView(*place, "", None, error.code, error.detail)
    return GivenView(*place, space, vector)
