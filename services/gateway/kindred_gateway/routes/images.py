"""Images: take in, show, delete."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from kindred.search.v1 import search_pb2
from kindred_gateway.answers import IMAGE_PROBLEMS, json_answer, problems
from kindred_gateway.bodies import fitted, is_multipart, read_form, read_json
from kindred_gateway.documents import IngestBody, RightsFields, request_body, text_fields
from kindred_gateway.door import checked_image
from kindred_gateway.generations import checked_generation
from kindred_gateway.ingest import NewPhoto, accept
from kindred_gateway.licenses import checked_rights, checked_text
from kindred_gateway.parts import Parts, PartsDep
from kindred_gateway.presentation import failure_json, image_json, state_name, urls
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.routes.parameters import known_image_id, refuse_unknown_parameters
from kindred_gateway.schemas import AcceptedAnswer, ImageAnswer
from kindred_gateway.terms import visible_image
from kindred_kit.errors import ImageNotFound

router = APIRouter(tags=["images"])
MAX_WAIT_S = 60
_RIGHTS_FIELDS = frozenset(RightsFields.model_fields)
_MAX_SOURCE_CHARS = 200
_MAX_CAPTION_CHARS = 10_000
_ENDED = frozenset({search_pb2.STATE_INDEXED, search_pb2.STATE_FAILED})
_SLOWEST_POLL_S = 0.5


@router.post(
    "/v1/images",
    status_code=202,
    responses={
        200: {"model": AcceptedAnswer, "description": "The image was known"},
        201: {"model": AcceptedAnswer, "description": "Indexed or failed within `wait`"},
        202: {"model": AcceptedAnswer, "description": "Durable; being indexed"},
        **problems(
            **IMAGE_PROBLEMS | {"s422": f"{IMAGE_PROBLEMS['s422']}, image_download_failed", "s451": "image_taken_down"}
        ),
    },
    response_model=None,
    openapi_extra=request_body(IngestBody, text_fields(*RightsFields.model_fields)),
)
async def add_image(
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="Seconds")] = 0,
) -> Response:
    """Take in an image, as multipart/form-data or behind a URL. An answer means that it is durable."""
    refuse_unknown_parameters(request)
    if is_multipart(request):
        async with read_form(request, parts.settings, _RIGHTS_FIELDS) as form, parts.pool.slot():
            photo = _photo(fitted(dict(form.fields), RightsFields), form.file_name)
            image = await checked_image(parts, await form.image(parts.settings), "/file")
            result = await accept(parts, principal, image, photo)
    else:
        body = await read_json(request, IngestBody)
        photo = _photo(body, "")
        data = await parts.fetcher.fetch(body.url)
        async with parts.pool.slot():
            image = await checked_image(parts, data, "/url")
            result = await accept(parts, principal, image, photo)
    state, failure = result.state, None
    if wait > 0 and state not in _ENDED:
        state, failure = await _wait(parts, principal, image.image_id, state, wait)
    status = 200 if not result.created else 201 if state in _ENDED else 202
    return json_answer(
        {
            "id": image.image_id,
            "state": state_name(state),
            "created": result.created,
            "failure": failure_json(failure) if failure is not None and failure.code else None,
            "urls": urls(image.image_id, parts.settings.public_url),
        },
        status,
        {"Location": urls(image.image_id, parts.settings.public_url)["self"]},
    )


@router.get(
    "/v1/images/{image_id}",
    responses={200: {"model": ImageAnswer}, **problems(s404="image_not_found")},
    response_model=None,
)
async def get_image(image_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """What is known of an image: state, size, labels, rights."""
    record = await visible_image(parts, principal, known_image_id(image_id))
    return json_answer(image_json(record, parts.settings.public_url))


@router.delete(
    "/v1/images/{image_id}",
    status_code=204,
    responses={204: {"description": "The caller's claim is gone"}, **problems(s404="image_not_found")},
    response_model=None,
)
async def delete_image(image_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Remove the caller's claim. Referenced files are never touched."""
    request = search_pb2.DeleteImagesRequest(principal=principal, image_ids=[known_image_id(image_id)])
    response = await parts.search.DeleteImages(request)
    if image_id not in response.deleted_ids:
        raise ImageNotFound("there is no image of yours with this id")
    return Response(status_code=204)


def _photo(fields: RightsFields, file_name: str) -> NewPhoto:
    return NewPhoto(
        rights=checked_rights(
            fields.license, fields.license_url, fields.creator, fields.source_url, fields.attribution, fields.credit
        ),
        source=checked_text("source", fields.source, _MAX_SOURCE_CHARS),
        file_name=file_name,
        visibility=_VISIBILITIES[fields.visibility],
        origin=fields.origin,
        caption=checked_text("caption", fields.caption, _MAX_CAPTION_CHARS),
        generation=checked_generation(fields),
    )


_VISIBILITIES: Mapping[str, search_pb2.Visibility.ValueType] = {
    "public": search_pb2.VISIBILITY_PUBLIC,
    "private": search_pb2.VISIBILITY_PRIVATE,
}


async def _wait(
    parts: Parts, principal: search_pb2.Principal, image_id: str, state: search_pb2.State.ValueType, seconds: float
) -> tuple[search_pb2.State.ValueType, search_pb2.Failure | None]:
    """Until the image is indexed or failed, or the time is over: its last known state."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    pause = parts.settings.wait_poll_s
    request = search_pb2.GetStatesRequest(principal=principal, image_ids=[image_id])
    while True:
        for found in (await parts.search.GetStates(request)).states:
            state = found.state
            if state in _ENDED:
                return state, found.failure
        left = end - loop.time()
        if left <= 0:
            return state, None
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _SLOWEST_POLL_S)
