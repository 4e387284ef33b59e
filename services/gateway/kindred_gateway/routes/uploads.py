"""Query uploads: an image to search with, kept for a day, never indexed."""

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from kindred_gateway.answers import IMAGE_PROBLEMS, json_answer, problems
from kindred_gateway.bodies import is_multipart, read_form, read_json
from kindred_gateway.documents import UploadBody, request_body
from kindred_gateway.door import checked_image
from kindred_gateway.parts import PartsDep
from kindred_gateway.presentation import iso_time
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.routes.parameters import refuse_unknown_parameters
from kindred_gateway.schemas import UploadAnswer
from kindred_gateway.uploads import new_upload_id, upload_key

router = APIRouter(tags=["search"])


@router.post(
    "/v1/uploads",
    status_code=201,
    responses={
        201: {"model": UploadAnswer},
        **problems(**IMAGE_PROBLEMS | {"s422": f"{IMAGE_PROBLEMS['s422']}, image_download_failed"}),
    },
    response_model=None,
    openapi_extra=request_body(UploadBody, {}),
)
async def add_upload(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Keep a private image for searches with `upload_id`."""
    refuse_unknown_parameters(request, frozenset())
    if is_multipart(request):
        async with read_form(request, parts.settings, frozenset()) as form, parts.pool.slot():
            image = await checked_image(parts, await form.image(parts.settings), "/file")
    else:
        body = await read_json(request, UploadBody)
        data = await parts.fetcher.fetch(body.url)
        async with parts.pool.slot():
            image = await checked_image(parts, data, "/url")
    upload_id = new_upload_id(principal.owner)
    await parts.blobs.put(upload_key(upload_id), image.data)
    return json_answer(
        {
            "upload_id": upload_id,
            "width": image.info.width,
            "height": image.info.height,
            "format": image.info.format,
            "expires_at": iso_time(int((time.time() + parts.settings.upload_ttl_s) * 1000)),
        },
        201,
    )
