"""The bytes of an image, and thumbnails in any size."""

import hashlib
import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from kindred.search.v1 import search_pb2
from kindred_gateway.answers import problems
from kindred_gateway.parts import Parts, PartsDep
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.routes.parameters import known_image_id, refuse_unknown_parameters
from kindred_gateway.terms import visible_image
from kindred_kit.errors import BlobNotFound, ImageMissing
from kindred_kit.imaging import ImageLimits, decode, thumbnail
from kindred_kit.imaging.sniff import MIME_TYPES
from kindred_kit.telemetry import FALLBACKS

router = APIRouter(tags=["images"])
STORED_THUMB_PX = 320
# What an id names never changes; `private`, since visibility does.
_FOR_EVER = "private, max-age=31536000, immutable"
_MISSING = "the image's file is not where it was indexed, or it was changed since"
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9 ._()-]")


@router.get(
    "/v1/images/{image_id}/file",
    responses={
        200: {"content": {mime: {} for mime in MIME_TYPES.values()}, "description": "The bytes as they came"},
        304: {"description": "Not modified"},
        **problems(s404="image_not_found, image_missing"),
    },
    response_model=None,
)
async def get_file(image_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """The original. 404 `image_missing` where a referenced file was moved, deleted or changed."""
    record = await visible_image(parts, principal, known_image_id(image_id))
    headers = {"ETag": f'"{record.image_id}"', "Cache-Control": _FOR_EVER}
    if _is_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    data = await _original(parts, record)
    mime = MIME_TYPES.get(record.format)
    headers["Content-Disposition"] = content_disposition(
        record.file_name or f"{record.image_id[:16]}.{record.format}", inline=mime is not None
    )
    return Response(data, 200, headers, mime or "application/octet-stream")


@router.get(
    "/v1/images/{image_id}/thumb",
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "A JPEG"},
        304: {"description": "Not modified"},
        **problems(s404="image_not_found, image_missing"),
    },
    response_model=None,
)
async def get_thumb(
    image_id: str,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    size: Annotated[int, Query(ge=64, le=1024, description="Longest side in pixels; never enlarged")] = STORED_THUMB_PX,
) -> Response:
    """A small JPEG. Where the original is missing, the stored thumbnail serves every size."""
    refuse_unknown_parameters(request)
    record = await visible_image(parts, principal, known_image_id(image_id))
    headers = {"ETag": f'"{record.image_id}-{size}"', "Cache-Control": _FOR_EVER}
    if _is_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    stored = record.thumb_key and await _stored_thumb(parts, record.thumb_key)
    if stored and (size == STORED_THUMB_PX or max(record.width, record.height) <= min(size, STORED_THUMB_PX)):
        return Response(stored, 200, headers, "image/jpeg")
    if stored and size < STORED_THUMB_PX:
        return Response(await _made_thumb(parts, stored, size), 200, headers, "image/jpeg")
    try:
        data = await _original(parts, record)
    except ImageMissing:
        if not stored:
            raise
        FALLBACKS.labels("thumb", "image_missing").inc()
        return Response(stored, 200, {"Cache-Control": "no-store"}, "image/jpeg")
    return Response(await _made_thumb(parts, data, size), 200, headers, "image/jpeg")


def content_disposition(name: str, inline: bool) -> str:
    """RFC 6266: a plain ASCII name for old clients, the real one percent-encoded (RFC 5987)."""
    ascii_name = _UNSAFE_NAME.sub("_", name)[-100:]
    kind = "inline" if inline else "attachment"
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{encoded}"


async def _original(parts: Parts, record: search_pb2.ImageRecord) -> bytes:
    """The bytes that the id names, or ImageMissing: a changed file would be another image under this name."""
    async with parts.pool.slot():
        try:
            data = await parts.blobs.get(record.blob_key)
        except (BlobNotFound, ImageMissing):
            raise ImageMissing(_MISSING) from None
        if await parts.pool.run(_sha256, data) != record.image_id:
            raise ImageMissing(_MISSING)
    return data


async def _stored_thumb(parts: Parts, key: str) -> bytes | None:
    try:
        return await parts.blobs.get(key)
    except BlobNotFound:
        FALLBACKS.labels("thumb", "thumb_missing").inc()
        return None


async def _made_thumb(parts: Parts, data: bytes, size: int) -> bytes:
    async with parts.pool.slot():
        return await parts.pool.run(_make_thumb, data, parts.settings.image_limits, size)


def _make_thumb(data: bytes, limits: ImageLimits, size: int) -> bytes:
    return thumbnail(decode(data, limits, min_side_px=size), max_side_px=size)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_current(request: Request, etag: str) -> bool:
    tags = request.headers.get("if-none-match", "")
    return tags.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
