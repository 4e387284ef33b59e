"""What can be known of an order before it is accepted: do its classes exist, does anything pass its filter?"""

from collections.abc import Iterable, Sequence

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.convert import wanted_filter
from kindred_datasets.gallery import Gallery
from kindred_datasets.selection import emptiness
from kindred_kit.errors import DatasetEmpty, ImageNotFound, UnknownLabel


async def check(gallery: Gallery, spec: pb.DatasetSpec) -> None:
    """Raises UnknownLabel (with the closest classes), InvalidFilter, ImageNotFound, SpaceMismatch, DatasetEmpty."""
    await _check_classes(gallery, spec.classes, "/labels/classes")
    await _check_classes(gallery, spec.class_thresholds, "/labels/thresholds")
    await _check_failure_ids(gallery, spec)
    if not await count(gallery, spec, wanted_filter(spec), spec.min_score if spec.HasField("min_score") else None, 1):
        raise DatasetEmpty(await why_empty(gallery, spec))


async def why_empty(gallery: Gallery, spec: pb.DatasetSpec) -> str:
    """For a person; counts what passes with and without each filter."""

    async def counted(wanted: search_pb2.Filter, min_score: float | None) -> int:
        return await count(gallery, spec, wanted, min_score, emptiness.COUNTED)

    return await emptiness.reason(spec, counted)


async def count(
    gallery: Gallery, spec: pb.DatasetSpec, wanted: search_pb2.Filter, min_score: float | None, limit: int
) -> int:
    """How many images the order's source gives through a filter, up to `limit`. Photos on which a model fails find
    something whatever they show: for them it is what passes at all."""
    if spec.WhichOneof("from") == "ids":
        return len(await gallery.collect(wanted, limit, among_ids=spec.ids.image_ids))
    if spec.WhichOneof("from") == "query":
        query = spec.query
        return len(await gallery.collect(wanted, limit, terms=query.terms, space=query.space, min_score=min_score))
    return len(await gallery.collect(wanted, limit))


async def _check_classes(gallery: Gallery, names: Iterable[str], pointer: str) -> None:
    """The search service resolves class names; a filter that is never used asks it to."""
    for name in names:
        try:
            await gallery.collect(search_pb2.Filter(labels_any=[search_pb2.LabelTerm(class_name=name)]), 1)
        except UnknownLabel as error:
            error.pointer = pointer
            raise


async def _check_failure_ids(gallery: Gallery, spec: pb.DatasetSpec) -> None:
    photos: Sequence[pb.FailurePhoto] = spec.failures.photos
    asked = [photo.image_id for photo in photos if photo.image_id]
    seen = {record.image_id async for record in gallery.records(asked)}
    for position, photo in enumerate(photos):
        if photo.image_id and photo.image_id not in seen:
            raise ImageNotFound(f"there is no image {photo.image_id}", pointer=f"/failures/{position}/image_id")
