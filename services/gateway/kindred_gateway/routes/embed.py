"""POST /v1/embed: texts or an image as vectors of the search space."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from kindred.embedder.v1 import embedder_pb2
from kindred_gateway.answers import IMAGE_PROBLEMS, json_answer, problems
from kindred_gateway.bodies import is_multipart, read_form, read_json
from kindred_gateway.documents import EmbedBody, request_body, text_fields
from kindred_gateway.parts import PartsDep
from kindred_gateway.routes.parameters import refuse_unknown_parameters
from kindred_gateway.routes.search import region_field
from kindred_gateway.schemas import EmbedAnswer
from kindred_kit.context import current_request_id
from kindred_kit.embeddings import embedding_vector

router = APIRouter(tags=["models"])


@router.post(
    "/v1/embed",
    responses={
        200: {"model": EmbedAnswer},
        **problems(**IMAGE_PROBLEMS | {"s422": f"{IMAGE_PROBLEMS['s422']}, region_invalid"}),
    },
    response_model=None,
    openapi_extra=request_body(EmbedBody, text_fields("region")),
)
async def embed(request: Request, parts: PartsDep) -> Response:
    """Embed texts, or the image (or region of it) that is sent along."""
    refuse_unknown_parameters(request, frozenset())
    if not is_multipart(request):
        body = await read_json(request, EmbedBody)
        texts = await parts.embedder.EmbedText(embedder_pb2.EmbedTextRequest(texts=body.texts))
        return _answer(texts.embeddings, texts.space, f"{texts.model_name}/{texts.model_version}")
    async with read_form(request, parts.settings, frozenset({"region"})) as form, parts.pool.slot():
        region = region_field(form.fields.get("region"))
        call = embedder_pb2.EmbedImageRequest(
            data=await form.image(parts.settings), region=region.to_proto() if region else None
        )
        image = await parts.embedder.EmbedImage(call)
    return _answer([image.embedding], image.space, f"{image.model_name}/{image.model_version}")


def _answer(embeddings: Sequence[embedder_pb2.Embedding], space: str, model: str) -> Response:
    vectors = [embedding_vector(embedding).tolist() for embedding in embeddings]
    return json_answer(
        {
            "id": current_request_id(),
            "embeddings": vectors,
            "dimension": len(vectors[0]) if vectors else 0,
            "space": space,
            "model": model,
        }
    )
