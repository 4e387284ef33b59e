"""Long ranked lists and their embeddings, for jobs: no pages, no records."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import InvalidArgument, SpaceMismatch
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.catalogue.filtering import matching
from kindred_search.catalogue.vectors import stored_vectors
from kindred_search.cursors import Ranked
from kindred_search.domain import Collection
from kindred_search.indexes import Indexes
from kindred_search.ranking import Question, Ranker

PART = 1_000
"""Images in one message: 64 kB of ids, 2 MB of embeddings of 1,024 dimensions."""

_MOST_CANDIDATES = 1_000_000
"""About 200 MB while they are sorted; a filter that the index cannot decide lets about half of its candidates pass."""


class Collector:
    def __init__(self, catalogue: Catalogue, ranker: Ranker, indexes: Indexes) -> None:
        self._catalogue = catalogue
        self._ranker = ranker
        self._indexes = indexes

    async def ranked(self, asked: Question, limit: int) -> Ranked:
        """The best `limit` images, each one checked in the catalogue. Raises as Searcher.search does."""

        async def rank(active: Collection | None) -> Ranked:
            if active is None:
                return Ranked((), ())
            query = await self._ranker.query(asked, active)
            return await self._ranker.rank(
                query, active, limit, partial(self._ranker.matching, query), _MOST_CANDIDATES
            )

        return await self._indexes.read(rank)

    async def among(self, asked: Question, image_ids: Sequence[str], limit: int) -> Ranked:
        """The first `limit` of `image_ids` that pass, in their order, without scores. InvalidArgument for terms."""
        if asked.terms or asked.min_score is not None:
            raise InvalidArgument("a list of ids is filtered, not searched: it goes without terms and min_score")
        wanted = [i for i in dict.fromkeys(image_ids) if i not in asked.exclude_ids]
        passing: set[str] = set()
        for start in range(0, len(wanted), PART):
            part = wanted[start : start + PART]
            passing |= await self._catalogue.read(matching, asked.owner, part, asked.wanted)
        found = tuple(image_id for image_id in wanted if image_id in passing)[:limit]
        return Ranked(found, (None,) * len(found))

    async def vectors(
        self, owner: str, image_ids: Sequence[str], view: str, space: str
    ) -> AsyncIterator[tuple[list[str], NDArray[np.float16]]]:
        """In parts: the ids that have an embedding and that the principal sees, in order, and theirs, float16 [n, d].

        Without a space: that of the index. Raises SpaceMismatch for another one.
        """
        active = self._indexes.active
        if active is None:
            return
        if space and space != active.space:
            raise SpaceMismatch(f"embeddings of space {space!r} are asked for, the index holds {active.space!r}")
        ids = list(dict.fromkeys(image_ids))
        for start in range(0, len(ids), PART):
            part = ids[start : start + PART]
            found, vectors = await self._catalogue.read(stored_vectors, owner, part, view, active.space)
            if found:
                yield found, vectors
