"""Search: mix the terms, ask the index, let the catalogue decide what the principal sees, page by page."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import ImageNotFound, IndexDamaged, InvalidArgument, SpaceMismatch
from kindred_kit.telemetry import FALLBACKS
from kindred_search import filters
from kindred_search.catalogue import reading
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.cursors import DEPTH, Ranked, RankedList, RankedLists, at_offset
from kindred_search.domain import EMBEDDED, Collection, ImageRecord
from kindred_search.filters import SearchFilter
from kindred_search.indexes import Indexes
from kindred_search.mixing import mix
from kindred_search.vectors.port import IndexFilter, IndexHit, VectorStore

_MOST_CANDIDATES = 10_000
"""How far a page is refilled when the catalogue turns candidates down."""

_SPARE = 2
"""Candidates asked for beyond the page: images that were deleted a moment ago."""


@dataclass(frozen=True, slots=True)
class Term:
    """Either a vector (float32 [d], L2-normalised) or the id of an image that the principal may see."""

    of: NDArray[np.float32] | str
    weight: float


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A validated request; `cursor` set: the terms and the filter of the first page count."""

    owner: str
    terms: tuple[Term, ...]
    space: str
    wanted: SearchFilter
    limit: int
    min_score: float | None
    cursor: str
    query_digest: str
    exclude_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Query:
    """What a ranked list is made from."""

    owner: str
    vector: NDArray[np.float32]
    wanted: SearchFilter
    where: IndexFilter
    min_score: float | None
    exclude_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hit:
    score: float
    image: ImageRecord


@dataclass(frozen=True, slots=True)
class Page:
    hits: tuple[Hit, ...]
    next_cursor: str
    total: int
    total_is_lower_bound: bool
    index_version: str
    space: str


class Searcher:
    def __init__(
        self,
        catalogue: Catalogue,
        vectors: VectorStore,
        indexes: Indexes,
        lists: RankedLists[Query],
        on_damage: Callable[[IndexDamaged, str], Awaitable[None]],
    ) -> None:
        """`on_damage` mends the collection of this name; the search is then made again in what replaced it."""
        self._catalogue = catalogue
        self._vectors = vectors
        self._indexes = indexes
        self._lists = lists
        self._on_damage = on_damage

    async def search(self, request: SearchRequest) -> Page:
        """One page. Raises SpaceMismatch, ImageNotFound, InvalidArgument and the cursor's errors."""
        while True:
            active = self._indexes.active
            try:
                return await self._page(request, active)
            except Exception:
                if self._indexes.active is active:
                    raise
                # a reindex has replaced the index while this search read it
                FALLBACKS.labels("search", "index_replaced").inc()

    async def _page(self, request: SearchRequest, active: Collection | None) -> Page:
        if request.cursor:
            return await self._later_page(request, active)
        if active is None:  # nothing is embedded yet, so nothing is like the query
            return Page((), "", 0, False, "", request.space)
        # ids alone are vectors of the index itself: "similar" needs no embedder, and names no space
        embedded = any(not isinstance(term.of, str) for term in request.terms)
        if request.space != active.space and (embedded or request.space):
            raise SpaceMismatch(f"the query is of space {request.space!r}, the index holds {active.space!r}")
        return await self._first_page(request, active)

    async def _first_page(self, request: SearchRequest, active: Collection) -> Page:
        query = await self._query(request, active)
        # one hit more than the page tells whether there is a next one
        ranked, seen = await self._rank(query, active, request.limit + 1, load=True)
        hits = _hits(ranked, seen)
        cursor = ""
        if len(hits) > request.limit:
            found = Ranked(tuple(hit.image.image_id for hit in hits), tuple(hit.score for hit in hits))
            cursor = self._lists.add(query, request.owner, request.query_digest, active.name, found, request.limit)
        return Page(tuple(hits[: request.limit]), cursor, len(hits), bool(cursor), active.name, active.space)

    async def _later_page(self, request: SearchRequest, active: Collection | None) -> Page:
        version = active.name if active else ""
        kept, offset = self._lists.find(request.cursor, request.owner, request.query_digest, version)
        assert active is not None  # else the cursor were stale
        async with kept.filling:
            if not kept.complete:
                await self._fill(kept, active)
        hits, position = await self._read_on(kept, offset, request.limit)
        full = len(kept.ranked) >= DEPTH
        # past the depth the cursor is answered with an error of its own, not with an end that is none
        more = position < len(kept.ranked) or full
        cursor = at_offset(request.cursor, position) if more else ""
        return Page(tuple(hits), cursor, len(kept.ranked), full, active.name, active.space)

    async def _fill(self, kept: RankedList[Query], active: Collection) -> None:
        """Extend the first page's hits to the depth; what has been shown keeps its place."""
        deep, _ = await self._rank(kept.query, active, DEPTH, load=False)
        shown = set(kept.ranked.image_ids)
        rest = [(i, s) for i, s in zip(deep.image_ids, deep.scores, strict=True) if i not in shown]
        ids = (*kept.ranked.image_ids, *(i for i, _ in rest))
        scores = (*kept.ranked.scores, *(s for _, s in rest))
        kept.ranked = Ranked(ids[:DEPTH], scores[:DEPTH])
        kept.complete = True

    async def _read_on(self, kept: RankedList[Query], offset: int, limit: int) -> tuple[list[Hit], int]:
        """Up to `limit` hits from `offset` on that can still be shown, and the position after them."""
        hits: list[Hit] = []
        position = offset
        while len(hits) < limit and position < len(kept.ranked):
            end = position + limit - len(hits)
            part = Ranked(kept.ranked.image_ids[position:end], kept.ranked.scores[position:end])
            seen = await self._catalogue.records(kept.owner, part.image_ids)
            hits += _hits(part, seen)
            position += len(part)
        return hits, position

    async def _rank(
        self, query: Query, active: Collection, depth: int, *, load: bool
    ) -> tuple[Ranked, dict[str, ImageRecord]]:
        """The best `depth` hits (fewer only if there are no more) and, with `load`, their records.

        Candidates are asked for until enough have passed: the index may hold an image that was deleted a moment ago,
        and a label threshold inside a token's bucket is decided by the catalogue.
        """
        check = load or not query.wanted.exact
        seen: dict[str, ImageRecord] = {}
        tried: set[str] = set()
        top_k = depth + len(query.exclude_ids) + (_SPARE if load else 0)
        while True:
            try:
                found = await self._vectors.search(active.name, query.vector, top_k, query.where)
            except IndexDamaged as error:
                await self._on_damage(error, active.name)
                raise
            best = sorted(found, key=lambda hit: (-hit.score, hit.image_id))
            high = [hit for hit in best if query.min_score is None or hit.score >= query.min_score]
            passed = [hit for hit in high if hit.image_id not in query.exclude_ids]
            if check:
                passed = await self._checked(passed, query, depth, seen, tried)
            exhausted = len(found) < top_k or len(high) < len(found) or top_k >= _MOST_CANDIDATES
            if len(passed) >= depth or exhausted:
                passed = passed[:depth]
                return Ranked(tuple(hit.image_id for hit in passed), tuple(hit.score for hit in passed)), seen
            top_k = min(top_k * 3, _MOST_CANDIDATES)

    async def _checked(
        self, candidates: list[IndexHit], query: Query, depth: int, seen: dict[str, ImageRecord], tried: set[str]
    ) -> list[IndexHit]:
        """The first `depth` candidates that the catalogue lets pass; `seen` and `tried` are filled on the way."""
        passed: list[IndexHit] = []
        position = 0
        while len(passed) < depth and position < len(candidates):
            part = candidates[position : position + depth - len(passed)]
            new = [hit.image_id for hit in part if hit.image_id not in tried]
            seen.update(await self._catalogue.records(query.owner, new))
            tried.update(new)
            passed += [hit for hit in part if _passes(seen.get(hit.image_id), query.wanted)]
            position += len(part)
        return passed

    async def _query(self, request: SearchRequest, active: Collection) -> Query:
        if not request.terms:
            raise InvalidArgument("a search needs at least one term", pointer="/query")
        vectors = [await self._vector(request.owner, term, n, active) for n, term in enumerate(request.terms)]
        return Query(
            owner=request.owner,
            vector=mix(vectors, [term.weight for term in request.terms]),
            wanted=request.wanted,
            where=filters.to_index(request.wanted, request.owner),
            min_score=request.min_score,
            exclude_ids=request.exclude_ids,
        )

    async def _vector(self, owner: str, term: Term, position: int, active: Collection) -> NDArray[np.float32]:
        if not isinstance(term.of, str):
            if len(term.of) != active.dimension:
                raise SpaceMismatch(f"the query has {len(term.of)} dimensions, the index {active.dimension}")
            return term.of
        vector = await self._catalogue.read(reading.embedding, owner, term.of, active.space)
        if vector is None:
            raise ImageNotFound(f"no indexed image {term.of}", pointer=f"/query/{position}/image_id")
        return vector


def _passes(record: ImageRecord | None, wanted: SearchFilter) -> bool:
    return record is not None and record.state in EMBEDDED and (wanted.exact or filters.matches(wanted, record))


def _hits(ranked: Ranked, seen: dict[str, ImageRecord]) -> list[Hit]:
    """Hits in order, without those whose image has gone."""
    both: Sequence[tuple[str, float]] = list(zip(ranked.image_ids, ranked.scores, strict=True))
    return [Hit(score, seen[i]) for i, score in both if i in seen and seen[i].state in EMBEDDED]
