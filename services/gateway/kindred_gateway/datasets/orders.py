"""The body of an order -> kindred.datasets.v1.DatasetSpec: texts embedded, uploads found, boxes normalised."""

from collections.abc import Sequence

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_gateway.datasets.bodies import DatasetBody, FailurePhoto, MissedBox
from kindred_gateway.parts import Parts
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_gateway.queries import QueryTerm
from kindred_gateway.terms import resolve_terms, visible_image
from kindred_gateway.uploads import existing_upload_key
from kindred_kit.errors import InvalidRegion, KindredError
from kindred_kit.imaging import probe
from kindred_kit.label_precision import ask_precision

_FORMATS = {"coco": pb.FORMAT_COCO, "yolo": pb.FORMAT_YOLO, "voc": pb.FORMAT_VOC}
_ROUNDING_PX = 0.5
"""Boxes are often rounded to pixels: so far outside is no reason to refuse one."""


async def spec_of(parts: Parts, principal: search_pb2.Principal, body: DatasetBody) -> pb.DatasetSpec:
    """Raises RequestInvalid, InvalidRegion, UploadNotFound, ImageNotFound, pointing at what is wrong."""
    spec = pb.DatasetSpec(
        name=body.name,
        filter=body.filter.compiled(),
        size=body.size if body.ids is None or "size" in body.model_fields_set else len(set(body.ids)),
        min_score=body.min_score,
        diversity=body.diversity,
        balance_classes=body.balance,
        keep_duplicates=body.keep_duplicates,
        holdout_ids=body.holdout.image_ids,
        format=_FORMATS[body.format],
        links=body.links,
        val_share=body.val_share,
        label_min_score=body.labels.min_score,
        class_thresholds=body.labels.thresholds,
        classes=body.labels.classes,
        license_type=",".join(body.license_type.all_of) if body.license_type else "",
        seed=body.seed,
    )
    if body.labels.min_precision:
        await _ask_precision(parts, principal, spec, body.labels.min_precision)
    for position, upload_id in enumerate(body.holdout.upload_ids):
        key = await _upload_key(parts, principal, upload_id, f"/holdout/upload_ids/{position}")
        spec.holdout.add(blob_key=key, name=upload_id)
    if body.ids is not None:
        spec.ids.image_ids.extend(dict.fromkeys(body.ids))
    elif body.failures is not None:
        for position, photo in enumerate(body.failures):
            spec.failures.photos.append(await _failure(parts, principal, photo, f"/failures/{position}"))
    else:
        spec.query.CopyFrom(await _query(parts, principal, body.query or []))
    return spec


async def _ask_precision(parts: Parts, principal: search_pb2.Principal, spec: pb.DatasetSpec, precision: float) -> None:
    try:
        await ask_precision(parts.search, principal, spec, precision)
    except KindredError as error:
        error.pointer = "/labels/min_precision"
        raise


async def _query(parts: Parts, principal: search_pb2.Principal, terms: Sequence[QueryTerm]) -> pb.Query:
    if len(terms) > parts.settings.max_query_terms:
        detail = f"more than {parts.settings.max_query_terms} terms"
        raise RequestInvalid([FieldError("/query", "too_many_terms", detail)])
    resolved = await resolve_terms(parts, principal, terms)
    return pb.Query(terms=resolved.terms, space=resolved.space, text=" + ".join(_words(term) for term in terms))


def _words(term: QueryTerm) -> str:
    """How a term reads, in full: two terms that read alike are alike."""
    weight = f"{term.weight:g} x " if term.weight != 1 else ""
    region = f" at {term.region.x:g},{term.region.y:g},{term.region.w:g},{term.region.h:g}" if term.region else ""
    if term.text is not None:
        return f"{weight}{term.text}"
    return f"{weight}{'image' if term.image_id else 'upload'} {term.image_id or term.upload_id}{region}"


async def _failure(parts: Parts, principal: search_pb2.Principal, photo: FailurePhoto, pointer: str) -> pb.FailurePhoto:
    if photo.image_id is not None:
        try:
            record = await visible_image(parts, principal, photo.image_id)
        except KindredError as error:
            error.pointer = f"{pointer}/image_id"
            raise
        made, width, height = pb.FailurePhoto(image_id=photo.image_id), record.width, record.height
    else:
        key = await _upload_key(parts, principal, photo.upload_id or "", f"{pointer}/upload_id")
        width, height = await _sides(parts, key) if photo.boxes else (0, 0)
        made = pb.FailurePhoto(given=pb.GivenImage(blob_key=key, name=photo.upload_id or ""))
    for number, box in enumerate(photo.boxes):
        made.missed.append(_missed(box, width, height, f"{pointer}/boxes/{number}/bbox"))
    return made


async def _upload_key(parts: Parts, principal: search_pb2.Principal, upload_id: str, pointer: str) -> str:
    try:
        return await existing_upload_key(parts.blobs, upload_id, principal.owner, parts.settings.upload_ttl_s)
    except KindredError as error:
        error.pointer = pointer
        raise


async def _sides(parts: Parts, key: str) -> tuple[int, int]:
    """Pixels, EXIF orientation applied. The upload was decoded once, at the door."""
    async with parts.pool.slot():
        info = await parts.pool.run(probe, await parts.blobs.get(key), parts.settings.image_limits)
    return info.width, info.height


def _missed(box: MissedBox, width: int, height: int, pointer: str) -> pb.Missed:
    x, y, w, h = box.bbox
    inside = (
        x >= -_ROUNDING_PX and y >= -_ROUNDING_PX and x + w <= width + _ROUNDING_PX and y + h <= height + _ROUNDING_PX
    )
    if not inside or w <= 0 or h <= 0 or x >= width or y >= height:
        detail = f"the box [{x:g}, {y:g}, {w:g}, {h:g}] does not lie in its image of {width} x {height} px"
        raise InvalidRegion(detail, pointer=pointer)
    return pb.Missed(
        x_min=max(0.0, x / width),
        y_min=max(0.0, y / height),
        x_max=min(1.0, (x + w) / width),
        y_max=min(1.0, (y + h) / height),
        class_name=box.class_name,
    )
