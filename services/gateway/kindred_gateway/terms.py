"""Query terms -> search terms: texts, uploads and regions become embeddings, image ids stay ids."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2
from kindred_gateway.parts import Parts
from kindred_gateway.queries import QueryTerm, Region
from kindred_gateway.uploads import existing_upload_key
from kindred_kit.errors import BlobNotFound, ImageMissing, ImageNotFound, KindredError, Unavailable


@dataclass(frozen=True)
class FileTerm:
    """An image that came with the request."""

    data: bytes
    region: Region | None
    weight: float


@dataclass(frozen=True)
class ResolvedTerms:
    """`space` is empty where no term needed an embedding."""

    terms: list[search_pb2.Term]
    space: str


async def resolve_terms(
    parts: Parts, principal: search_pb2.Principal, query: Sequence[QueryTerm], file: FileTerm | None = None
) -> ResolvedTerms:
    """All at once: one call for all texts, one per image. Errors point at their term."""
    pending: list[Awaitable[tuple[search_pb2.Term, str]]] = []
    texts = [(index, term) for index, term in enumerate(query) if term.text is not None]
    text_call = asyncio.ensure_future(_embed_texts(parts, [term.text or "" for _, term in texts])) if texts else None
    positions = {index: position for position, (index, _) in enumerate(texts)}
    for index, term in enumerate(query):
        if index in positions and text_call is not None:
            pending.append(_text_term(text_call, positions[index], term.weight))
        else:
            pending.append(_pointed(_image_term(parts, principal, term), f"/query/{index}"))
    if file is not None:
        pending.append(_pointed(_file_term(parts, file), "/file"))
    answers = await asyncio.gather(*pending)
    spaces = {space for _, space in answers if space}
    if len(spaces) > 1:
        raise Unavailable("the embedder moves to another space at this moment")
    return ResolvedTerms([term for term, _ in answers], spaces.pop() if spaces else "")


async def _embed_texts(parts: Parts, texts: list[str]) -> embedder_pb2.EmbedTextResponse:
    return await parts.embedder.EmbedText(embedder_pb2.EmbedTextRequest(texts=texts))


async def _text_term(
    call: "asyncio.Future[embedder_pb2.EmbedTextResponse]", position: int, weight: float
) -> tuple[search_pb2.Term, str]:
    response = await call
    return search_pb2.Term(embedding=response.embeddings[position], weight=weight), response.space


async def _image_term(parts: Parts, principal: search_pb2.Principal, term: QueryTerm) -> tuple[search_pb2.Term, str]:
    if term.image_id is not None and term.region is None:
        return search_pb2.Term(image_id=term.image_id, weight=term.weight), ""
    if term.image_id is not None:
        blob_key = (await visible_image(parts, principal, term.image_id)).blob_key
    else:
        blob_key = await existing_upload_key(
            parts.blobs, term.upload_id or "", principal.owner, parts.settings.upload_ttl_s
        )
    request = embedder_pb2.EmbedImageRequest(blob_key=blob_key, region=_region(term.region))
    try:
        return await _embed_image(parts, request, term.weight)
    except BlobNotFound:
        raise ImageMissing("the image's bytes are not where they were") from None


async def _file_term(parts: Parts, file: FileTerm) -> tuple[search_pb2.Term, str]:
    request = embedder_pb2.EmbedImageRequest(data=file.data, region=_region(file.region))
    return await _embed_image(parts, request, file.weight)


async def _embed_image(
    parts: Parts, request: embedder_pb2.EmbedImageRequest, weight: float
) -> tuple[search_pb2.Term, str]:
    response = await parts.embedder.EmbedImage(request)
    return search_pb2.Term(embedding=response.embedding, weight=weight), response.space


async def visible_image(parts: Parts, principal: search_pb2.Principal, image_id: str) -> search_pb2.ImageRecord:
    """The record of an image that the principal may see. Raises ImageNotFound."""
    response = await parts.search.GetImages(search_pb2.GetImagesRequest(principal=principal, image_ids=[image_id]))
    for image in response.images:
        if image.image_id == image_id:
            return image
    raise ImageNotFound(f"there is no image {image_id}")


async def _pointed(work: Awaitable[tuple[search_pb2.Term, str]], pointer: str) -> tuple[search_pb2.Term, str]:
    try:
        return await work
    except KindredError as error:
        if error.pointer is None and not error.retryable:
            error.pointer = pointer
        raise


def _region(region: Region | None) -> embedder_pb2.Region | None:
    return region.to_proto() if region is not None else None
