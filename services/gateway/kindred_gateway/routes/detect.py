"""POST /v1/detect: labelled boxes of one image."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from kindred.detector.v1 import detector_pb2
from kindred_gateway.answers import IMAGE_PROBLEMS, json_answer, problems
from kindred_gateway.bodies import is_multipart, parse_json, read_form, read_json
from kindred_gateway.documents import DetectBody, DetectOptions, request_body
from kindred_gateway.parts import Parts, PartsDep
from kindred_gateway.presentation import detection_json
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.routes.parameters import refuse_unknown_parameters
from kindred_gateway.schemas import DetectAnswer
from kindred_gateway.terms import visible_image
from kindred_gateway.uploads import existing_upload_key
from kindred_kit.context import current_request_id
from kindred_kit.errors import BlobNotFound, ImageMissing

router = APIRouter(tags=["models"])
_FORM_FIELDS = frozenset({"request"})


@router.post(
    "/v1/detect",
    responses={
        200: {"model": DetectAnswer},
        **problems(
            **IMAGE_PROBLEMS | {"s404": "image_not_found, upload_not_found, image_missing"},
        ),
    },
    response_model=None,
    openapi_extra=request_body(
        DetectBody,
        {"request": {"type": "string", "description": "JSON: score_threshold, nms_iou, tta …"}},
    ),
)
async def detect(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Find objects in an image that is sent along, indexed or uploaded."""
    refuse_unknown_parameters(request, frozenset())
    if is_multipart(request):
        async with read_form(request, parts.settings, _FORM_FIELDS) as form, parts.pool.slot():
            options = parse_json(form.fields.get("request", "{}"), DetectOptions)
            call = options.to_proto()
            call.data = await form.image(parts.settings)
            return _answer(await parts.detector.Detect(call))
    body = await read_json(request, DetectBody)
    call = body.to_proto()
    call.blob_key = await _blob_key(parts, principal, body)
    try:
        return _answer(await parts.detector.Detect(call))
    except BlobNotFound:
        raise ImageMissing("the image's bytes are not where they were") from None


async def _blob_key(parts: Parts, principal: PrincipalDep, body: DetectBody) -> str:
    if body.image_id is not None:
        return (await visible_image(parts, principal, body.image_id)).blob_key
    return await existing_upload_key(parts.blobs, body.upload_id or "", principal.owner, parts.settings.upload_ttl_s)


def _answer(response: detector_pb2.DetectResponse) -> Response:
    model = f"{response.model_name}/{response.model_version}"
    return json_answer(
        {
            "id": current_request_id(),
            "labels": [
                {**detection_json(item, response.width, response.height), "model": item.model or model}
                for item in response.detections
            ],
            "label_set": response.label_set,
            "model": model,
            "width": response.width,
            "height": response.height,
        }
    )
