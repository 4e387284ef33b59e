"""Where the images of a data set come from: one ranked list a seed, merged so that no seed starves."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.gallery import Gallery, Ranking
from kindred_datasets.orders import MAX_SIZE
from kindred_datasets.selection.quota import round_robin
from kindred_datasets.selection.seeds import Seeds, View, failure_seeds, helped
from kindred_datasets.store.checkpoints import GivenView

_MARGIN = 50
"""Candidates beyond what is wanted: copies of each other, of the holdout, of a failure photo."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """`seed`: number of the seed that found it; `chosen_for`: its name, and the box of it."""

    image_id: str
    score: float | None
    seed: int
    chosen_for: str


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates, best first; `exhausted`: there are no more."""

    candidates: tuple[Candidate, ...]
    exhausted: bool


class Sources:
    """Asks for candidates in the name of an order, as deep as is wanted."""

    def __init__(
        self,
        gallery: Gallery,
        spec: pb.DatasetSpec,
        wanted: search_pb2.Filter,
        given: Sequence[GivenView],
        concurrency: int,
    ) -> None:
        """Raises FailureSetUnreadable where not one failure photo has an embedding."""
        self._gallery = gallery
        self._spec = spec
        self._wanted = wanted
        self._room = asyncio.Semaphore(concurrency)
        self._min_score = spec.min_score if spec.HasField("min_score") else None
        self._seeds = failure_seeds(spec.failures, given) if spec.WhichOneof("from") == "failures" else []
        self._helped: Seeds | None = None

    async def pool(self, size: int) -> Pool:
        """About `size` candidates or more, if there are so many."""
        match self._spec.WhichOneof("from"):
            case "ids":
                ranking = await self._gallery.collect(self._wanted, MAX_SIZE, among_ids=self._spec.ids.image_ids)
                return Pool(_candidates(ranking, 0, "ids"), True)
            case "query":
                return await self._of_query(min(size + _MARGIN, MAX_SIZE))
            case _:
                depth = math.ceil(size / len(self._seeds)) + _MARGIN
                return await self._of_failures(min(depth, MAX_SIZE))

    async def _of_query(self, depth: int) -> Pool:
        query = self._spec.query
        ranking = await self._gallery.collect(
            self._wanted, depth, terms=query.terms, space=query.space, min_score=self._min_score
        )
        return Pool(_candidates(ranking, 0, query.text or "query"), len(ranking) < depth or depth >= MAX_SIZE)

    async def _of_failures(self, depth: int) -> Pool:
        if self._helped is None:
            self._helped = await self._with_help()
        rankings = await asyncio.gather(
            *(self._of_seed(number, views, depth) for number, views in enumerate(self._helped))
        )
        by_id = [{candidate.image_id: candidate for candidate in candidates} for candidates, _ in rankings]
        merged = round_robin([[candidate.image_id for candidate in candidates] for candidates, _ in rankings])
        candidates = tuple(by_id[number][image_id] for number, image_id in merged)
        return Pool(candidates, all(exhausted for _, exhausted in rankings) or depth >= MAX_SIZE)

    async def _with_help(self) -> Seeds:
        """Raises SpaceMismatch where the index has moved on since the photos were embedded."""
        views = [view for seed in self._seeds for view in seed]
        space = next((view.space for view in views if view.space), "") or await self._gallery.space()
        found, vectors = await self._gallery.embeddings([view.image_id for view in views if view.image_id], space)
        return helped(self._seeds, dict(zip(found, vectors, strict=True)), space)

    async def _of_seed(self, number: int, views: Sequence[View], depth: int) -> tuple[list[Candidate], bool]:
        """By the whole photo and by each box of it, in turns."""
        rankings = await asyncio.gather(*(self._of_view(view, depth) for view in views))
        merged = round_robin([ranking.image_ids for ranking in rankings])
        scores = [dict(zip(ranking.image_ids, ranking.scores, strict=True)) for ranking in rankings]
        found = [Candidate(i, scores[view][i], number, views[view].name) for view, i in merged]
        return found, all(len(ranking) < depth for ranking in rankings)

    async def _of_view(self, view: View, depth: int) -> Ranking:
        async with self._room:
            return await self._gallery.collect(
                self._wanted, depth, terms=[view.term], space=view.space, min_score=self._min_score
            )


def _candidates(ranking: Ranking, seed: int, chosen_for: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(i, s, seed, chosen_for) for i, s in zip(ranking.image_ids, ranking.scores, strict=True))
