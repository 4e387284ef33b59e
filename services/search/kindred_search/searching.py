"""Search: a ranked list, shown page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from kindred_search.arranging import Arranger, Wishes
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.cursors import DEPTH, Copies, Ranked, RankedList, RankedLists, at_offset
from kindred_search.domain import EMBEDDED, Collection, ImageRecord, LabelCount
from kindred_search.filters import matches
from kindred_search.indexes import Indexes
from kindred_search.ranking import Query, Question, Ranker


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A validated request; `cursor` set: what the first page asked counts."""

    asked: Question
    limit: int
    cursor: str
    query_digest: str
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class Hit:
    """`score` is None where nothing was asked; `duplicate_ids` are near copies that stand behind this hit."""

    score: float | None
    image: ImageRecord
    duplicate_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """`facets`: labels among the best `facets_over` hits. `total` counts near copies too."""

    hits: tuple[Hit, ...]
    next_cursor: str
    total: int
    total_is_lower_bound: bool
    index_version: str
    space: str
    facets: tuple[LabelCount, ...] = ()
    facets_over: int = 0


class Searcher:
    def __init__(
        self,
        catalogue: Catalogue,
        ranker: Ranker,
        arranger: Arranger,
        indexes: Indexes,
        lists: RankedLists[Query],
    ) -> None:
        self._catalogue = catalogue
        self._ranker = ranker
        self._arranger = arranger
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
        query = await self._ranker.query(request.asked, active)
        if request.wishes.none:
            return await self._first_page(query, request, active)
        kept = await self._complete(query, request, active)
        page, position = await self._read_page(kept, 0, request.limit, active)
        return replace(page, next_cursor=self._lists.add(kept, position)) if _more(kept, position) else page

    async def _first_page(self, query: Query, request: SearchRequest, active: Collection) -> Page:
        seen: dict[str, ImageRecord] = {}
        exact = query.wanted.exact

        async def load(image_ids: Sequence[str]) -> set[str]:
            records = await self._catalogue.records(query.owner, image_ids)
            seen.update(records)
            passing = (record for record in records.values() if record.state in EMBEDDED)
            return {record.image_id for record in passing if exact or matches(query.wanted, record)}

        # one hit more than the page tells whether there is a next one
        ranked = await self._ranker.rank(query, active, request.limit + 1, load)
        hits = _hits(ranked, seen)
        cursor = ""
        if len(hits) > request.limit:
            kept = RankedList(query, query.owner, request.query_digest, active.name, ranked)
            cursor = self._lists.add(kept, request.limit)
        return Page(tuple(hits[: request.limit]), cursor, len(hits), bool(cursor), active.name, active.space)

    async def _later_page(self, request: SearchRequest, active: Collection | None) -> Page:
        version = active.name if active else ""
        kept, offset = self._lists.find(request.cursor, request.asked.owner, request.query_digest, version)
        assert active is not None  # else the cursor were stale
        async with kept.changing:
            if not kept.complete:
                await self._fill(kept, active)
        page, position = await self._read_page(kept, offset, request.limit, active)
        return replace(page, next_cursor=at_offset(request.cursor, position)) if _more(kept, position) else page

    async def _complete(self, query: Query, request: SearchRequest, active: Collection) -> RankedList[Query]:
        """A list of full depth at once, with what is wished for."""
        ranked = await self._ranker.rank(query, active, DEPTH, partial(self._ranker.matching, query))
        kept = RankedList(query, query.owner, request.query_digest, active.name, ranked, complete=True)
        await self._arranger.arrange(kept, request.wishes, active.space)
        return kept

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

    async def _read_page(
        self, kept: RankedList[Query], offset: int, limit: int, active: Collection
    ) -> tuple[Page, int]:
        """The page from `offset` on, without a cursor, and the position after it."""
        hits, position = await self._read_on(kept, offset, limit)
        full = len(kept.ranked) >= DEPTH
        facets, over = (kept.facets, len(kept.ranked)) if kept.facets is not None else ((), 0)
        return Page(tuple(hits), "", len(kept.ranked), full, active.name, active.space, facets, over), position

    async def _read_on(self, kept: RankedList[Query], offset: int, limit: int) -> tuple[list[Hit], int]:
        """Up to `limit` hits from `offset` on that can still be shown, and the position after them."""
        hits: list[Hit] = []
        position = offset
        while len(hits) < limit and position < len(kept.ranked):
            end = position + limit - len(hits)
            part = Ranked(kept.ranked.image_ids[position:end], kept.ranked.scores[position:end])
            found = _hits(part, await self._catalogue.records(kept.owner, part.image_ids))
            hits += found if kept.copies is None else await self._collapsed(kept, kept.copies, found)
            position += len(part)
        return hits, position

    async def _collapsed(self, kept: RankedList[Query], copies: Copies, hits: Sequence[Hit]) -> list[Hit]:
        """Those of the next hits that are no copies of a better one, with their own copies behind them."""
        async with kept.changing:
            await self._arranger.collapse(kept, [hit.image.image_id for hit in hits])
        shown = [hit for hit in hits if hit.image.image_id not in copies.hidden]
        behind = [image_id for hit in shown for image_id in copies.behind[hit.image.image_id]]
        seen = await self._ranker.matching(kept.query, behind) if behind else set()
        return [
            replace(hit, duplicate_ids=tuple(i for i in copies.behind[hit.image.image_id] if i in seen))
            for hit in shown
        ]


def _more(kept: RankedList[Query], position: int) -> bool:
    """Whether there is a page after this position.

    Past the depth the cursor is answered with an error of its own, not with an end that is none.
    """
    rest = kept.ranked.image_ids[position:]
    hidden = kept.copies.hidden if kept.copies is not None else ()
    return len(kept.ranked) >= DEPTH or any(image_id not in hidden for image_id in rest)


def _hits(ranked: Ranked, seen: dict[str, ImageRecord]) -> list[Hit]:
    """Hits in order, without those whose image has gone."""
    both = zip(ranked.image_ids, ranked.scores, strict=True)
    return [Hit(score, seen[i]) for i, score in both if i in seen and seen[i].state in EMBEDDED]
