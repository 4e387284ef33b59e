"""What a search may wish for its whole ranked list: spread it out, count its labels, collapse near copies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kindred_kit.selection import diversify
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.catalogue.facets import label_counts_among
from kindred_search.catalogue.vectors import stored_vectors
from kindred_search.collapsing import Collapser
from kindred_search.cursors import Ranked, RankedList
from kindred_search.domain import WHOLE

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True)
class Wishes:
    """`diversity`: 0 = nearest, 1 = widest cover."""

    collapse_duplicates: bool = False
    diversity: float = 0.0
    facets: bool = False

    @property
    def none(self) -> bool:
        """Whether the plain list is asked for, which needs no more than a page."""
        return not (self.collapse_duplicates or self.diversity or self.facets)


class Arranger:
    def __init__(self, catalogue: Catalogue, collapser: Collapser) -> None:
        self._catalogue = catalogue
        self._collapser = collapser

    async def arrange(self, kept: RankedList[Q], wishes: Wishes, space: str) -> None:
        """Order and mark a complete list, once: its pages then go on where the last one ended."""
        if wishes.facets:
            kept.facets = tuple(await self._catalogue.read(label_counts_among, kept.ranked.image_ids))
        if wishes.diversity:
            kept.ranked = await self._diversified(kept.owner, kept.ranked, space, wishes.diversity)
        if wishes.collapse_duplicates:
            kept.copies = await self._collapser.candidates(kept.owner, kept.ranked.image_ids, space)

    async def collapse(self, kept: RankedList[Q], image_ids: Sequence[str]) -> None:
        """Decide which images of the list are copies of these, the next ones to be shown."""
        assert kept.copies is not None
        await self._collapser.collapse(kept.owner, kept.copies, image_ids)

    async def _diversified(self, owner: str, ranked: Ranked, space: str, diversity: float) -> Ranked:
        """The whole list in the order in which a diverse choice takes it.

        Without scores (nothing was asked) only the cover counts. Images that have gone meanwhile are left out.
        """
        ids, vectors = await self._catalogue.read(stored_vectors, owner, ranked.image_ids, WHOLE, space)
        if not ids:
            return Ranked((), ())
        score_of = dict(zip(ranked.image_ids, ranked.scores, strict=True))
        scores = [score_of[image_id] for image_id in ids]
        known = np.array([0.0 if score is None else score for score in scores])
        order = await asyncio.to_thread(diversify, vectors.astype(np.float32), known, len(ids), diversity)
        return Ranked(tuple(ids[n] for n in order), tuple(scores[n] for n in order))
