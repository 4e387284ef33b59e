"""Search: a ranked list, shown page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.cursors import DEPTH, Ranked, RankedList, RankedLists, at_offset
from kindred_search.domain import EMBEDDED, Collection, ImageRecord
from kindred_search.filters import SearchFilter, matches
from kindred_search.indexes import Indexes
from kindred_search.ranking import Query, Question, Ranker


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A validated request; `cursor` set: what the first page asked counts."""

    asked: Question
    limit: int
    cursor: str
    query_digest: str


@dataclass(frozen=True, slots=True)
class Hit:
    """`score` is None where nothing was asked."""

    score: float | None
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
    def __init__(self, catalogue: Catalogue, ranker: Ranker, indexes: Indexes, lists: RankedLists[Query]) -> None:
        self._catalogue = catalogue
        self._ranker = ranker
        self._indexes = indexes
        self._lists = lists

    async def search(self, request: SearchRequest) -> Page:
        """One page. Raises SpaceMismatch, ImageNotFound, InvalidArgument and the cursor's errors."""
        return await self._indexes.read(lambda active: self._page(request, active))

    async def _page(self, request: SearchRequest, active: Collection | None) -> Page:
        if request.cursor:
            return await self._later_page(request, active)
        if active is None:  # nothing is embedded yet, so nothing is like the query
            return Page((), "", 0, False, "", request.asked.space)
        return await self._first_page(request, active)

    async def _first_page(self, request: SearchRequest, active: Collection) -> Page:
        query = await self._ranker.query(request.asked, active)
        seen: dict[str, ImageRecord] = {}

        async def load(image_ids: Sequence[str]) -> set[str]:
            records = await self._catalogue.records(query.owner, image_ids)
            seen.update(records)
            return {image_id for image_id, record in records.items() if _passes(record, query.wanted)}

        # one hit more than the page tells whether there is a next one
        ranked = await self._ranker.rank(query, active, request.limit + 1, load)
        hits = _hits(ranked, seen)
        cursor = ""
        if len(hits) > request.limit:
            cursor = self._lists.add(query, query.owner, request.query_digest, active.name, ranked, request.limit)
        return Page(tuple(hits[: request.limit]), cursor, len(hits), bool(cursor), active.name, active.space)

    async def _later_page(self, request: SearchRequest, active: Collection | None) -> Page:
        version = active.name if active else ""
        kept, offset = self._lists.find(request.cursor, request.asked.owner, request.query_digest, version)
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
        check = None if kept.query.wanted.exact else partial(self._ranker.matching, kept.query)
        deep = await self._ranker.rank(kept.query, active, DEPTH, check)
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


def _passes(record: ImageRecord, wanted: SearchFilter) -> bool:
    return record.state in EMBEDDED and (wanted.exact or matches(wanted, record))


def _hits(ranked: Ranked, seen: dict[str, ImageRecord]) -> list[Hit]:
    """Hits in order, without those whose image has gone."""
    both = zip(ranked.image_ids, ranked.scores, strict=True)
    return [Hit(score, seen[i]) for i, score in both if i in seen and seen[i].state in EMBEDDED]
