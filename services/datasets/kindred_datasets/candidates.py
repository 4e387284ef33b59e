"""Where the images of a data set come from: one ranked list a seed, merged so that no seed starves."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2
from kindred_datasets.embedding import FAILURE
from kindred_datasets.errors import FailureSetUnreadable
from kindred_datasets.gallery import Gallery, Ranking
from kindred_datasets.orders import MAX_SIZE
from kindred_datasets.quota import round_robin
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
class View:
    """One thing to look for. Without a term: what passes the filter, newest first."""

    name: str
    term: search_pb2.Term | None
    space: str = ""


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
        self.seeds = failure_seeds(spec.failures, given) if spec.WhichOneof("from") == "failures" else []

    async def pool(self, size: int) -> Pool:
        """About `size` candidates or more, if there are so many."""
        match self._spec.WhichOneof("from"):
            case "ids":
                ranking = await self._gallery.collect(self._wanted, MAX_SIZE, among_ids=self._spec.ids.image_ids)
                return Pool(_candidates(ranking, 0, "ids"), True)
            case "query":
                return await self._of_query(min(size + _MARGIN, MAX_SIZE))
            case _:
                depth = math.ceil(size / len(self.seeds)) + _MARGIN
                return await self._of_failures(min(depth, MAX_SIZE))

    async def _of_query(self, depth: int) -> Pool:
        query = self._spec.query
        ranking = await self._gallery.collect(
            self._wanted, depth, terms=query.terms, space=query.space, min_score=self._min_score
        )
        return Pool(_candidates(ranking, 0, query.text or "query"), len(ranking) < depth or depth >= MAX_SIZE)

    async def _of_failures(self, depth: int) -> Pool:
        rankings = await asyncio.gather(
            *(self._of_seed(number, views, depth) for number, views in enumerate(self.seeds))
        )
        by_id = [{candidate.image_id: candidate for candidate in candidates} for candidates, _ in rankings]
        merged = round_robin([[candidate.image_id for candidate in candidates] for candidates, _ in rankings])
        candidates = tuple(by_id[number][image_id] for number, image_id in merged)
        return Pool(candidates, all(exhausted for _, exhausted in rankings) or depth >= MAX_SIZE)

    async def _of_seed(self, number: int, views: Sequence[View], depth: int) -> tuple[list[Candidate], bool]:
        """By the whole photo and by each box of it, in turns."""
        rankings = await asyncio.gather(*(self._of_view(view, depth) for view in views))
        merged = round_robin([ranking.image_ids for ranking in rankings])
        scores = [dict(zip(ranking.image_ids, ranking.scores, strict=True)) for ranking in rankings]
        found = [Candidate(i, scores[view][i], number, views[view].name) for view, i in merged]
        return found, all(len(ranking) < depth for ranking in rankings)

    async def _of_view(self, view: View, depth: int) -> Ranking:
        terms = [view.term] if view.term is not None else []
        async with self._room:
            return await self._gallery.collect(
                self._wanted, depth, terms=terms, space=view.space, min_score=self._min_score
            )


def failure_seeds(failures: pb.FailureSet, given: Sequence[GivenView]) -> list[list[View]]:
    """The views of each failure photo that can be looked for. Raises FailureSetUnreadable."""
    by_place = {(view.position, view.view): view for view in given if view.role == FAILURE}
    seeds = []
    for position, photo in enumerate(failures.photos):
        name = photo_name(photo)
        whole = View(name, search_pb2.Term(image_id=photo.image_id, weight=1)) if photo.image_id else None
        views = [whole] if whole else []
        for number in range(len(photo.missed) + 1):
            found = by_place.get((position, number))
            if found is not None and found.vector is not None:
                term = search_pb2.Term(embedding=embedder_pb2.Embedding(values=found.vector.tolist()), weight=1)
                views.append(View(f"{name}#{number}" if number else name, term, found.space))
        if views:
            seeds.append(views)
    if not seeds:
        first = next(view for view in given if view.role == FAILURE)
        raise FailureSetUnreadable(f"no failure photo can be looked at; of the first: {first.error_detail}")
    return seeds


def photo_name(photo: pb.FailurePhoto) -> str:
    return photo.image_id or photo.given.name or "photo"


def _candidates(ranking: Ranking, seed: int, chosen_for: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(i, s, seed, chosen_for) for i, s in zip(ranking.image_ids, ranking.scores, strict=True))
