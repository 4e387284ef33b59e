"""One search from body to answer, shared by the search, similar and multipart routes."""

from kindred.search.v1 import search_pb2
from kindred_gateway.parts import Parts
from kindred_gateway.presentation import Json, search_json
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_gateway.queries import SearchBody, query_digest
from kindred_gateway.terms import FileTerm, ResolvedTerms, resolve_terms
from kindred_kit.context import current_request_id
from kindred_kit.errors import ImageNotFound, SpaceMismatch, Unavailable
from kindred_kit.telemetry import FALLBACKS


async def run_search(
    parts: Parts,
    principal: search_pb2.Principal,
    body: SearchBody,
    file: FileTerm | None = None,
    file_sha256: str = "",
    exclude_ids: tuple[str, ...] = (),
) -> Json:
    """The answer of a search. A further page embeds nothing: the cursor stands for the ranked list."""
    _check_terms(parts, body, file)
    request = search_pb2.SearchRequest(
        principal=principal,
        filter=body.filter.compiled(),
        limit=body.limit,
        min_score=body.min_score,
        cursor=body.cursor or "",
        query_digest=query_digest(body, exclude_ids, file_sha256),
        exclude_ids=exclude_ids,
        facets=body.facets,
        collapse_duplicates=body.collapse_duplicates,
        diversity=body.diversity,
    )
    try:
        response = await _search(parts, principal, request, body, file)
    except ImageNotFound as error:
        ids = [index for index, term in enumerate(body.query) if term.image_id is not None]
        if error.pointer is None and len(ids) == 1:
            error.pointer = f"/query/{ids[0]}/image_id"
        raise
    return search_json(response, current_request_id(), body.fields, parts.settings.public_url, body.facets)


async def _search(
    parts: Parts,
    principal: search_pb2.Principal,
    request: search_pb2.SearchRequest,
    body: SearchBody,
    file: FileTerm | None,
) -> search_pb2.SearchResponse:
    if request.cursor:
        return await parts.search.Search(request)
    _put(request, await resolve_terms(parts, principal, body.query, file))
    try:
        return await parts.search.Search(request)
    except SpaceMismatch:
        # The index has just moved to another embedding space, or is about to: embed once more, then give up.
        FALLBACKS.labels("search", "space_mismatch").inc()
        _put(request, await resolve_terms(parts, principal, body.query, file))
        try:
            return await parts.search.Search(request)
        except SpaceMismatch as error:
            raise Unavailable("the index moves to another embedding space at this moment") from error


def _put(request: search_pb2.SearchRequest, resolved: ResolvedTerms) -> None:
    del request.terms[:]
    request.terms.extend(resolved.terms)
    request.space = resolved.space


def _check_terms(parts: Parts, body: SearchBody, file: FileTerm | None) -> None:
    weights = [term.weight for term in body.query] + ([file.weight] if file is not None else [])
    if len(weights) > parts.settings.max_query_terms:
        detail = f"more than {parts.settings.max_query_terms} terms"
        raise RequestInvalid([FieldError("/query", "too_many_terms", detail)])
    if not weights and body.min_score is not None:
        detail = "what is only filtered has no score: a query is needed beside min_score"
        raise RequestInvalid([FieldError("/min_score", "query_needed", detail)])
    if weights and not any(weights):
        raise RequestInvalid([FieldError("/query", "no_weight", "at least one term needs a weight other than 0")])
