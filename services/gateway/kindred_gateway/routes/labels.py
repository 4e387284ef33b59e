"""Classes: those that occur, and those that somebody misses."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from kindred.search.v1 import search_pb2
from kindred_gateway.answers import json_answer, problems
from kindred_gateway.bodies import read_json
from kindred_gateway.documents import LabelRequestBody, request_body
from kindred_gateway.parts import PartsDep
from kindred_gateway.presentation import label_counts_json
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.routes.parameters import refuse_unknown_parameters
from kindred_gateway.schemas import LabelRequestAnswer, LabelsAnswer

router = APIRouter(tags=["labels"])


@router.get("/v1/labels", responses={200: {"model": LabelsAnswer}, **problems()}, response_model=None)
async def list_labels(parts: PartsDep, principal: PrincipalDep) -> Response:
    """Classes that occur in the gallery, with their numbers of images and boxes."""
    request = search_pb2.ListLabelsRequest(principal=principal)
    return json_answer({"labels": label_counts_json((await parts.search.ListLabels(request)).labels)})


@router.post(
    "/v1/label-requests",
    status_code=201,
    responses={
        200: {"model": LabelRequestAnswer, "description": "A label set has the class already"},
        201: {"model": LabelRequestAnswer},
        **problems(s400="malformed_body", s413="body_too_large", s415="unsupported_media_type"),
    },
    response_model=None,
    openapi_extra=request_body(LabelRequestBody),
)
async def add_label_request(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Ask for a class that no label set has; the operator sees how often each was asked for."""
    refuse_unknown_parameters(request, frozenset())
    body = await read_json(request, LabelRequestBody)
    answer = await parts.search.AddLabelRequest(
        search_pb2.AddLabelRequestRequest(principal=principal, class_name=body.class_name)
    )
    counted = {
        "class": answer.class_name,
        "label_sets": list(answer.label_sets),
        "requests": answer.requests,
        "closest": list(answer.closest),
    }
    return json_answer(counted, 200 if answer.label_sets else 201)
