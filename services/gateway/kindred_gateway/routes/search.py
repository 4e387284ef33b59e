"""GET and POST /v1/search, and the images like one that is indexed."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from kindred_gateway.answers import IMAGE_PROBLEMS, json_answer, problems
from kindred_gateway.bodies import fitted, is_multipart, parse_json, read_form, read_json
from kindred_gateway.documents import request_body, text_fields
from kindred_gateway.parts import Parts, PartsDep
from kindred_gateway.presentation import Json
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_gateway.queries import MAX_TEXT_CHARS, Region, SearchBody
from kindred_gateway.routes.listing import ListingDep, parameter_of
from kindred_gateway.routes.parameters import known_image_id, refuse_unknown_parameters
from kindred_gateway.schemas import SearchAnswer
from kindred_gateway.searching import run_search
from kindred_gateway.terms import FileTerm
from kindred_kit.errors import KindredError

router = APIRouter(tags=["search"])
_CURSOR_PROBLEMS = {
    "s400": "malformed_body, cursor_invalid, cursor_stale, cursor_too_deep",
    "s404": "image_not_found, upload_not_found",
}
_FORM_FIELDS = frozenset({"request", "region", "weight"})

Text = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_TEXT_CHARS, description="Left out: what passes the filter, newest first"),
]


@router.get(
    "/v1/search",
    responses={200: {"model": SearchAnswer}, **problems(**_CURSOR_PROBLEMS)},
    response_model=None,
)
async def search(
    request: Request, parts: PartsDep, principal: PrincipalDep, listing: ListingDep, q: Text = None
) -> Response:
    """Search by text, or browse."""
    refuse_unknown_parameters(request)
    body = listing.body([] if q is None else [{"text": q}])
    return await _answer_parameters(parts, principal, body)


@router.get(
    "/v1/images/{image_id}/similar",
    responses={200: {"model": SearchAnswer}, **problems(**_CURSOR_PROBLEMS)},
    response_model=None,
)
async def similar(
    request: Request, parts: PartsDep, principal: PrincipalDep, listing: ListingDep, image_id: str
) -> Response:
    """Images like this one, without itself."""
    refuse_unknown_parameters(request)
    image_id = known_image_id(image_id)
    body = listing.body([{"image_id": image_id}])
    return await _answer_parameters(parts, principal, body, exclude_ids=(image_id,))


@router.post(
    "/v1/search",
    responses={
        200: {"model": SearchAnswer},
        **problems(
            **IMAGE_PROBLEMS
            | _CURSOR_PROBLEMS
            | {"s422": f"filter_invalid, label_unknown, region_invalid, not_available, {IMAGE_PROBLEMS['s422']}"}
        ),
    },
    response_model=None,
    openapi_extra=request_body(
        SearchBody,
        {
            **text_fields("region", "weight"),
            "request": {"type": "string", "description": "JSON as the JSON body; `query` may be left out"},
        },
    ),
)
async def search_by_body(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Search by a weighted mix of texts, images and regions, or by an image sent along as multipart/form-data."""
    refuse_unknown_parameters(request, frozenset())
    if is_multipart(request):
        return json_answer(await _search_by_file(request, parts, principal))
    return json_answer(await run_search(parts, principal, await read_json(request, SearchBody)))


async def _search_by_file(request: Request, parts: Parts, principal: PrincipalDep) -> Json:
    async with read_form(request, parts.settings, _FORM_FIELDS) as form, parts.pool.slot():
        body = parse_json(form.fields.get("request", "{}"), SearchBody)
        region = region_field(form.fields.get("region"))
        weight = _weight_field(form.fields.get("weight"))
        file = FileTerm(await form.image(parts.settings), region, weight)
        digest = f"{hashlib.sha256(file.data).hexdigest()} {region!r} {weight}"
        return await run_search(parts, principal, body, file, digest)


def region_field(text: str | None) -> Region | None:
    """`x,y,w,h` or the JSON object. Raises RequestInvalid."""
    if text is None or not text.strip():
        return None
    if text.lstrip().startswith("{"):
        return parse_json(text, Region, "/region")
    values = [_number(part, "/region") for part in text.split(",")]
    if len(values) != 4:
        raise RequestInvalid([FieldError("/region", "region_format", "four numbers are needed: x,y,w,h")])
    return fitted(dict(zip("xywh", values, strict=True)), Region)


def _weight_field(text: str | None) -> float:
    weight = _number(text, "/weight") if text is not None else 1.0
    if not -100 <= weight <= 100:
        raise RequestInvalid([FieldError("/weight", "out_of_range", "a weight is a number from -100 to 100")])
    return weight


def _number(text: str, pointer: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestInvalid([FieldError(pointer, "not_a_number", "a number is needed")]) from None


async def _answer_parameters(
    parts: Parts, principal: PrincipalDep, body: SearchBody, exclude_ids: tuple[str, ...] = ()
) -> Response:
    try:
        return json_answer(await run_search(parts, principal, body, exclude_ids=exclude_ids))
    except KindredError as error:
        if error.pointer is not None:
            error.pointer = parameter_of(error.pointer)
        raise
