"""From what is asked to a ranked list: the index proposes, the catalogue decides what the principal sees."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import ImageNotFound, IndexDamaged, InvalidArgument, SpaceMismatch
from kindred_kit.telemetry import FALLBACKS
from kindred_search import filters
from kindred_search.catalogue import filtering, reading
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.cursors import Ranked
from kindred_search.domain import Collection
from kindred_search.filters import SearchFilter
from kindred_search.mixing import mix
from kindred_search.vectors.port import IndexFilter, IndexHit, VectorStore

MOST_CANDIDATES = 10_000
"""How far a page is refilled when the catalogue turns candidates down."""

_LONG = 5_000
"""Hits that take the event loop long enough to sort (about 10 ms) for a thread to be worth it."""

_FEW = 2_000
"""Rows that pass a filter, up to which they are put in order one and all: 20 ms. Beyond, a filter lets so many pass
that they are met soon on the way from the newest image back, which would take .4 s to the end of 100,000."""

T = TypeVar("T")

Check = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these images may be shown."""


@dataclass(frozen=True, slots=True)
class Term:
    """Either a vector (float32 [d], L2-normalised) or the id of an image that the principal may see."""

    of: NDArray[np.float32] | str
    weight: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, validated. Without terms: what passes the filter, newest first."""

    owner: str
    terms: tuple[Term, ...]
    space: str
    wanted: SearchFilter
    min_score: float | None
    exclude_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Query:
    """What a ranked list is made from; without a vector: the newest first."""

    owner: str
    vector: NDArray[np.float32] | None
    wanted: SearchFilter
    where: IndexFilter
    min_score: float | None
    exclude_ids: frozenset[str]


class Ranker:
    def __init__(
        self, catalogue: Catalogue, vectors: VectorStore, on_damage: Callable[[IndexDamaged, str], Awaitable[None]]
    ) -> None:
        """`on_damage` mends the collection of this name; the search is then made again in what replaced it."""
        self._catalogue = catalogue
        self._vectors = vectors
        self._on_damage = on_damage

    async def query(self, asked: Question, active: Collection) -> Query:
        """Mix the terms. Raises SpaceMismatch, ImageNotFound, InvalidArgument."""
        require_space(asked, active)
        if not asked.terms and asked.min_score is not None:
            raise InvalidArgument("min_score needs a query: what is only filtered has no score", pointer="/min_score")
        vectors = [await self._vector(asked.owner, term, n, active) for n, term in enumerate(asked.terms)]
        return Query(
            owner=asked.owner,
            vector=mix(vectors, [term.weight for term in asked.terms]) if vectors else None,
            wanted=asked.wanted,
            where=filters.to_index(asked.wanted, asked.owner),
            min_score=asked.min_score,
            exclude_ids=asked.exclude_ids,
        )

    async def rank(
        self, query: Query, active: Collection, depth: int, check: Check | None, most: int = MOST_CANDIDATES
    ) -> Ranked:
        """The best `depth` images, fewer only if there are no more; with `check` those that it lets pass.

        Candidates are asked for until enough have passed, up to `most`: the index may hold an image that was deleted a
        moment ago, and a label threshold inside a token's bucket is decided by the catalogue.
        """
        if query.vector is None:
            return await self._newest(query, active, depth, check)
        allowed: dict[str, bool] = {}
        top_k = depth + len(query.exclude_ids)
        while True:
            search = self._vectors.search(active.name, query.vector, top_k, query.where)
            found = await self._mending(active.name, search)
            high = await asyncio.to_thread(_best, found, query) if len(found) > _LONG else _best(found, query)
            passed = [hit for hit in high if hit.image_id not in query.exclude_ids]
            if check:
                passed = await _checked(passed, depth, check, allowed)
            exhausted = len(found) < top_k or len(high) < len(found)
            if len(passed) >= depth or exhausted or top_k >= most:
                if len(passed) < depth and not exhausted:
                    FALLBACKS.labels("search", "candidates_given_up").inc()
                passed = passed[:depth]
                return Ranked(tuple(hit.image_id for hit in passed), tuple(hit.score for hit in passed))
            top_k = min(top_k * 3, most)

    async def matching(self, query: Query, image_ids: Sequence[str]) -> set[str]:
        """A `check` that loads no records."""
        return await self._catalogue.read(filtering.matching, query.owner, image_ids, query.wanted)

    async def _newest(self, query: Query, active: Collection, depth: int, check: Check | None) -> Ranked:
        few: Sequence[str] | None = None
        if query.wanted != SearchFilter():  # what is rare the index finds; what is frequent lies among the newest
            few = await self._mending(active.name, self._vectors.passing(active.name, query.where, _FEW))
        if few is not None and len(few) < _FEW:
            found = await self._catalogue.read(filtering.newest_among, query.owner, few, query.wanted)
        else:
            limit = depth + len(query.exclude_ids)
            found = await self._catalogue.read(filtering.newest, query.owner, query.wanted, limit)
        ids = [image_id for image_id in found if image_id not in query.exclude_ids][:depth]
        passing = await check(ids) if check else set(ids)
        ids = [image_id for image_id in ids if image_id in passing]
        return Ranked(tuple(ids), (None,) * len(ids))

    async def _mending(self, collection: str, reading: Awaitable[T]) -> T:
        try:
            return await reading
        except IndexDamaged as error:
            await self._on_damage(error, collection)
            raise

    async def _vector(self, owner: str, term: Term, position: int, active: Collection) -> NDArray[np.float32]:
        if not isinstance(term.of, str):
            if len(term.of) != active.dimension:
                raise SpaceMismatch(f"the query has {len(term.of)} dimensions, the index {active.dimension}")
            return term.of
        vector = await self._catalogue.read(reading.embedding, owner, term.of, active.space)
        if vector is None:
            raise ImageNotFound(f"no indexed image {term.of}", pointer=f"/query/{position}/image_id")
        return vector


def require_space(asked: Question, active: Collection) -> None:
    """Raises SpaceMismatch. Ids alone are vectors of the index itself: they need no embedder, and name no space."""
    embedded = any(not isinstance(term.of, str) for term in asked.terms)
    if asked.space != active.space and (embedded or asked.space):
        raise SpaceMismatch(f"the query is of space {asked.space!r}, the index holds {active.space!r}")


def _best(found: Sequence[IndexHit], query: Query) -> list[IndexHit]:
    best = sorted(found, key=lambda hit: (-hit.score, hit.image_id))
    return [hit for hit in best if query.min_score is None or hit.score >= query.min_score]


async def _checked(candidates: list[IndexHit], depth: int, check: Check, allowed: dict[str, bool]) -> list[IndexHit]:
    """The first `depth` candidates that pass; `allowed` remembers what has been checked."""
    passed: list[IndexHit] = []
    position = 0
    while len(passed) < depth and position < len(candidates):
        part = candidates[position : position + min(depth - len(passed), MOST_CANDIDATES)]
        new = [hit.image_id for hit in part if hit.image_id not in allowed]
        if new:
            passing = await check(new)
            allowed.update((image_id, image_id in passing) for image_id in new)
        passed += [hit for hit in part if allowed[hit.image_id]]
        position += len(part)
    return passed
