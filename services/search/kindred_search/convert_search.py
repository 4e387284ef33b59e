"""A search request as it came becomes one that can be run: every bound checked, every class name resolved."""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.embeddings import embedding_vector
from kindred_kit.errors import InvalidArgument, InvalidFilter, KindredError
from kindred_search import access, convert, generating, labels
from kindred_search.arranging import Wishes
from kindred_search.cursors import Ranked
from kindred_search.filters import (
    Condition,
    ModelCondition,
    NumberCondition,
    OrderCondition,
    PromptCondition,
    SearchFilter,
    TextCondition,
)
from kindred_search.labels import LabelTerm
from kindred_search.mixing import unit
from kindred_search.ranking import Question, Term
from kindred_search.searching import Page, SearchRequest

MAX_LIMIT = 100
MAX_COLLECTED = 100_000
MAX_VECTORS = 10_000
_MAX_TERMS = 32
_MAX_WEIGHT = 1_000.0
_MAX_EXCLUDED = 1_000
_MAX_FILTER_PARTS = 200
_MAX_FILTER_DEPTH = 4
_MAX_VALUES = 200
_MAX_DIGEST = 200

ResolveClass = Callable[[str, str, float], Awaitable[tuple[str, int, float]]]
"""(label set, class name, min_precision) -> label set, class id and lowest score (0 without a precision).

Raises UnknownLabel, PrecisionUnavailable.
"""

_TEXT_FIELDS = {"license", "origin", "format"}
_NUMBER_FIELDS = {"width", "height", "ingested_at_ms"}
_GENERATION_FIELDS = {"model", "prompt"}
_FIELDS = _TEXT_FIELDS | _NUMBER_FIELDS | _GENERATION_FIELDS
_MAX_PROMPT_WORDS = 32
_ORDERINGS = {pb.OPERATOR_GT: "gt", pb.OPERATOR_GTE: "gte", pb.OPERATOR_LT: "lt", pb.OPERATOR_LTE: "lte"}
_ONE_VALUE = {pb.OPERATOR_EQ, pb.OPERATOR_NE, pb.OPERATOR_CONTAINS, *_ORDERINGS}
_NEGATED = {pb.OPERATOR_NE, pb.OPERATOR_NOT_IN}
_MEMBERSHIP = {pb.OPERATOR_EQ, pb.OPERATOR_IN, *_NEGATED}


async def search_request(request: pb.SearchRequest, resolve: ResolveClass) -> SearchRequest:
    """Raises PrincipalMissing, InvalidArgument, InvalidFilter, UnknownLabel."""
    if not 1 <= request.limit <= MAX_LIMIT:
        raise InvalidArgument(f"limit lies between 1 and {MAX_LIMIT}", pointer="/limit")
    if len(request.query_digest) > _MAX_DIGEST:
        raise InvalidArgument("the query digest is too long")
    if len(request.exclude_ids) > _MAX_EXCLUDED:
        raise InvalidArgument(f"at most {_MAX_EXCLUDED} ids can be excluded", pointer="/exclude_ids")
    if request.cursor:  # its list remembers terms and filter
        request = pb.SearchRequest(
            principal=request.principal, limit=request.limit, cursor=request.cursor, query_digest=request.query_digest
        )
    return SearchRequest(
        asked=await _question(request, resolve),
        limit=request.limit,
        cursor=request.cursor,
        query_digest=request.query_digest,
        wishes=_wishes(request),
    )


def _wishes(request: pb.SearchRequest) -> Wishes:
    if not 0 <= request.diversity <= 1:
        raise InvalidArgument("diversity lies between 0 and 1", pointer="/diversity")
    return Wishes(request.collapse_duplicates, request.diversity, request.facets)


async def collect_request(request: pb.CollectRequest, resolve: ResolveClass) -> tuple[Question, int]:
    """What is asked, and how many. Raises as search_request does."""
    if not 1 <= request.limit <= MAX_COLLECTED:
        raise InvalidArgument(f"limit lies between 1 and {MAX_COLLECTED}", pointer="/limit")
    if len(request.exclude_ids) > MAX_COLLECTED:
        raise InvalidArgument(f"at most {MAX_COLLECTED} ids can be excluded", pointer="/exclude_ids")
    return await _question(request, resolve), request.limit


def page_pb(page: Page) -> pb.SearchResponse:
    return pb.SearchResponse(
        hits=[
            pb.Hit(
                image_id=hit.image.image_id,
                score=hit.score,
                image=convert.record_pb(hit.image),
                duplicate_ids=hit.duplicate_ids,
            )
            for hit in page.hits
        ],
        next_cursor=page.next_cursor,
        total=page.total,
        total_is_lower_bound=page.total_is_lower_bound,
        index_version=page.index_version,
        space=page.space,
        facets=[convert.label_count_pb(count) for count in page.facets],
        facets_over=page.facets_over,
    )


def collected_pb(ranked: Ranked, start: int, end: int) -> pb.CollectResponse:
    """A part of a ranked list."""
    both = zip(ranked.image_ids[start:end], ranked.scores[start:end], strict=True)
    return pb.CollectResponse(items=[pb.CollectResponse.Item(image_id=i, score=score) for i, score in both])


async def _question(request: pb.SearchRequest | pb.CollectRequest, resolve: ResolveClass) -> Question:
    min_score = request.min_score if request.HasField("min_score") else None
    if min_score is not None and not -1 <= min_score <= 1:
        raise InvalidArgument("min_score is a cosine similarity: between -1 and 1", pointer="/min_score")
    return Question(
        owner=convert.owner_of(request.principal),
        terms=tuple(_terms(request.terms)),
        space=request.space,
        wanted=await _filter(request.filter, resolve),
        min_score=min_score,
        exclude_ids=frozenset(convert.image_ids(request.exclude_ids)),
    )


def _terms(terms: Sequence[pb.Term]) -> Iterator[Term]:
    if len(terms) > _MAX_TERMS:
        raise InvalidArgument(f"a query has at most {_MAX_TERMS} terms", pointer="/query")
    for position, term in enumerate(terms):
        pointer = f"/query/{position}"
        if not math.isfinite(term.weight) or abs(term.weight) > _MAX_WEIGHT:
            raise InvalidArgument(
                f"a weight lies between -{_MAX_WEIGHT:g} and {_MAX_WEIGHT:g}", pointer=f"{pointer}/weight"
            )
        if term.WhichOneof("of") == "embedding":
            yield Term(unit(embedding_vector(term.embedding), pointer), term.weight)
        elif term.WhichOneof("of") == "image_id":
            yield Term(convert.image_id(term.image_id, f"{pointer}/image_id"), term.weight)
        else:
            raise InvalidArgument("a term is an embedding or an image id", pointer=pointer)


async def _filter(said: pb.Filter, resolve: ResolveClass) -> SearchFilter:
    if _size(said, 0) > _MAX_FILTER_PARTS:
        raise InvalidFilter(f"a filter has at most {_MAX_FILTER_PARTS} conditions", pointer="/filter")
    return await _branch(said, resolve, "/filter")


def _size(said: pb.Filter, depth: int) -> int:
    if depth > _MAX_FILTER_DEPTH:
        raise InvalidFilter(f"alternatives nest at most {_MAX_FILTER_DEPTH} deep", pointer="/filter")
    own = len(said.labels_all) + len(said.labels_any) + len(said.labels_none) + len(said.conditions)
    return own + sum(1 + _size(branch, depth + 1) for branch in said.any_of)


async def _branch(said: pb.Filter, resolve: ResolveClass, pointer: str) -> SearchFilter:
    at = f"{pointer}/labels"
    return SearchFilter(
        labels_all=tuple([await _label(term, resolve, f"{at}/all/{n}") for n, term in enumerate(said.labels_all)]),
        labels_any=tuple([await _label(term, resolve, f"{at}/any/{n}") for n, term in enumerate(said.labels_any)]),
        labels_none=tuple([await _label(term, resolve, f"{at}/none/{n}") for n, term in enumerate(said.labels_none)]),
        conditions=tuple(_condition(condition, pointer) for condition in said.conditions),
        any_of=tuple([await _branch(branch, resolve, f"{pointer}/or/{n}") for n, branch in enumerate(said.any_of)]),
    )


async def _label(term: pb.LabelTerm, resolve: ResolveClass, pointer: str) -> LabelTerm:
    if not 0 <= term.min_score <= 1:
        raise InvalidFilter("min_score of a label lies between 0 and 1", pointer=f"{pointer}/min_score")
    if not 0 <= term.min_precision <= 1:
        raise InvalidFilter("min_precision of a label lies between 0 and 1", pointer=f"{pointer}/min_precision")
    count = term.min_count or 1
    if not 1 <= count <= labels.MAX_COUNT:
        raise InvalidFilter(f"min_count lies between 1 and {labels.MAX_COUNT}", pointer=f"{pointer}/min_count")
    try:
        if term.label_set:
            labels.require_label_set(term.label_set)
        label_set, class_id, known_score = await resolve(term.label_set, term.class_name, term.min_precision)
    except KindredError as error:
        error.pointer = pointer
        raise
    return LabelTerm(label_set, class_id, term.class_name, max(term.min_score, known_score), count)


def _condition(said: pb.Condition, parent: str) -> Condition:
    pointer = f"{parent}/{said.field[:80]}"
    if said.field not in _FIELDS:
        known = ", ".join(sorted(_FIELDS))
        raise InvalidFilter(f"no field {said.field[:80]!r} to filter on; there are {known}", pointer=pointer)
    if not 1 <= len(said.values) <= (1 if said.operator in _ONE_VALUE else _MAX_VALUES):
        raise InvalidFilter(
            f"this operator takes {'one value' if said.operator in _ONE_VALUE else f'1 to {_MAX_VALUES} values'}",
            pointer=pointer,
        )
    if said.field == "prompt":
        return _prompt_condition(said, pointer)
    if said.field == "model":
        return _model_condition(said, pointer)
    if said.field in _TEXT_FIELDS:
        return _text_condition(said, pointer)
    numbers = tuple(_number(value, pointer) for value in said.values)
    if said.operator in _ORDERINGS:
        return OrderCondition(said.field, _ORDERINGS[said.operator], numbers[0])  # type: ignore[arg-type]  # checked above
    _require_membership(said, pointer)
    return NumberCondition(said.field, numbers, said.operator in _NEGATED)  # type: ignore[arg-type]  # checked above


def _text_condition(said: pb.Condition, pointer: str) -> TextCondition:
    _require_membership(said, pointer)
    if any(value.WhichOneof("of") != "text" for value in said.values):
        raise InvalidFilter(f"{said.field} is compared with a text", pointer=pointer)
    check = access.require_license if said.field == "license" else _word
    try:
        values = tuple(check(value.text) for value in said.values)
    except InvalidArgument as error:
        raise InvalidFilter(error.detail, pointer=pointer) from error
    return TextCondition(said.field, values, said.operator in _NEGATED)  # type: ignore[arg-type]  # checked by the caller


def _model_condition(said: pb.Condition, pointer: str) -> ModelCondition:
    _require_membership(said, pointer)
    keys = tuple(generating.model_key(value.text) for value in said.values)
    if not all(keys):
        raise InvalidFilter("the name of a model is a text that is not empty", pointer=pointer)
    return ModelCondition(keys, said.operator in _NEGATED)


def _prompt_condition(said: pb.Condition, pointer: str) -> PromptCondition:
    if said.operator != pb.OPERATOR_CONTAINS:
        raise InvalidFilter("prompt takes contains", pointer=pointer)
    words = generating.words(said.values[0].text)
    if not 1 <= len(words) <= _MAX_PROMPT_WORDS:
        raise InvalidFilter(f"contains takes 1 to {_MAX_PROMPT_WORDS} words", pointer=pointer)
    return PromptCondition(tuple(words))


def _word(text: str) -> str:
    return convert.word(text, "a format or an origin")


def _require_membership(said: pb.Condition, pointer: str) -> None:
    if said.operator not in _MEMBERSHIP:
        raise InvalidFilter(f"{said.field} takes eq, ne, in and not_in", pointer=pointer)


def _number(value: pb.Value, pointer: str) -> float:
    largest = 2.0**53  # beyond, a double is no longer every integer
    if value.WhichOneof("of") != "number" or not math.isfinite(value.number) or abs(value.number) > largest:
        raise InvalidFilter("this field is compared with a number", pointer=pointer)
    return value.number
