"""Choose the images of a data set: candidates, copies taken out, quota, diversity, balance, split."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets import preflight
from kindred_datasets.convert import wanted_filter
from kindred_datasets.copies.guarding import Guard
from kindred_datasets.domain import Item, Note
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Progress, Stage
from kindred_datasets.orders import MAX_SIZE
from kindred_datasets.records import class_names, exported_labels, item
from kindred_datasets.selection.candidates import Candidate, Sources
from kindred_datasets.selection.choosing import choose
from kindred_datasets.selection.split import split_of
from kindred_datasets.store.checkpoints import GivenView
from kindred_kit.errors import DatasetEmpty
from kindred_kit.selection import Vectors

_CHOICE = 4
"""Candidates for each image wanted, where diversity or balance chooses among them."""
_SPARE = 1.25
"""The same where the best are taken: some are copies."""


@dataclass(frozen=True)
class Selection:
    """`facts` (JSON values) go into the manifest."""

    items: list[Item]
    notes: list[Note]
    facts: dict[str, Any] = field(default_factory=dict)


class Selector:
    def __init__(
        self,
        gallery: Gallery,
        guard: Guard,
        spec: pb.DatasetSpec,
        given: Sequence[GivenView],
        progress: Progress,
        concurrency: int,
    ) -> None:
        self._gallery = gallery
        self._guard = guard
        self._spec = spec
        self._given = given
        self._progress = progress
        self._labels_of = exported_labels(spec)
        self._left_out: dict[str, Note] = {}
        self._sources = Sources(gallery, spec, wanted_filter(spec), given, concurrency)

    async def select(self) -> Selection:
        """Raises DatasetEmpty, saying what took all images."""
        spec = self._spec
        of_ids = spec.WhichOneof("from") == "ids"
        wanted = spec.size * (_CHOICE if spec.diversity or spec.balance_classes else _SPARE)
        while True:
            self._progress.begin(Stage.SELECT)
            pool = await self._sources.pool(min(int(wanted), MAX_SIZE))
            # a list of ids is what somebody wants: its near copies are kept, and kept in one split
            chosen, groups = await self._choose(pool.candidates, collapse=not (spec.keep_duplicates or of_ids))
            if len(chosen) >= spec.size or pool.exhausted:
                break
            wanted *= 2  # too many were copies: look deeper
        notes = [*self._unread(), *(await self._absent() if of_ids else ()), *self._left_out.values()]
        if not chosen:
            raise DatasetEmpty(await self._why_empty(len(pool.candidates), [*self._left_out.values()]))
        items = await self._items(chosen, groups)
        if len(items) < spec.size:
            notes.append(Note("", "fewer_than_asked", f"{len(items):,} of {spec.size:,} images: no more pass"))
        return Selection(items, notes, {**self._models(items), "space": await self._gallery.space()})

    async def _choose(
        self, candidates: Sequence[Candidate], *, collapse: bool
    ) -> tuple[list[Candidate], dict[str, int]]:
        """Choose, take out copies, and choose again until there are none; and which belong to one group.

        Only what was chosen is compared: that is costly, and of many candidates few are chosen.
        """
        spec = self._spec
        scores = np.array([candidate.score or 0.0 for candidate in candidates], np.float32)
        classes = await self._classes(candidates) if spec.balance_classes else None
        vectors = await self._vectors(candidates) if spec.diversity else None
        while True:
            rest = [n for n, candidate in enumerate(candidates) if candidate.image_id not in self._left_out]
            places = await asyncio.to_thread(
                choose,
                [candidates[n].seed for n in rest],
                spec.size,
                diversity=spec.diversity,
                vectors=None if vectors is None else vectors[rest],
                scores=scores[rest],
                classes=None if classes is None else [classes[n] for n in rest],
            )
            chosen = [candidates[rest[place]] for place in places]
            checked = await self._guard.check(chosen, collapse=collapse)
            if not checked.notes:
                return chosen, checked.groups
            self._left_out |= {note.subject: note for note in checked.notes}

    async def _vectors(self, candidates: Sequence[Candidate]) -> Vectors:
        if not candidates:
            return np.empty((0, 1), np.float16)
        found, vectors = await self._gallery.embeddings([candidate.image_id for candidate in candidates], "")
        row_of = {image_id: row for row, image_id in enumerate(found)}
        # one that was deleted at this moment is like nothing
        rows = np.zeros((len(candidates), vectors.shape[1]), vectors.dtype)
        for place, candidate in enumerate(candidates):
            if candidate.image_id in row_of:
                rows[place] = vectors[row_of[candidate.image_id]]
        return rows

    async def _classes(self, candidates: Sequence[Candidate]) -> list[frozenset[str]]:
        ids = [candidate.image_id for candidate in candidates]
        found = {record.image_id: class_names(self._labels_of(record)) async for record in self._gallery.records(ids)}
        return [found.get(image_id, frozenset()) for image_id in ids]

    async def _items(self, chosen: Sequence[Candidate], groups: dict[str, int]) -> list[Item]:
        """In the order of choice; one that was deleted meanwhile is left out."""
        by_id = {candidate.image_id: candidate for candidate in chosen}
        records: list[search_pb2.ImageRecord] = []
        self._progress.begin(Stage.GUARD, len(chosen))
        found: list[tuple[search_pb2.ImageRecord, Candidate]] = []
        async for record in self._gallery.records(list(by_id)):
            found.append((record, by_id[record.image_id]))
            records.append(record)
        ids = [record.image_id for record in records]
        numbers: dict[int, int] = {}
        grouped = [numbers.setdefault(groups[image_id], len(numbers)) for image_id in ids]
        splits = split_of(ids, grouped, self._spec.val_share, self._spec.seed)
        return [
            item(record, self._labels_of(record), candidate.score, candidate.chosen_for, group, split)
            for (record, candidate), group, split in zip(found, grouped, splits, strict=True)
        ]

    def _unread(self) -> list[Note]:
        """Given photos, or boxes of them, that could not be looked at."""
        names = {
            **{
                ("failure", n): photo.given.name or photo.image_id for n, photo in enumerate(self._spec.failures.photos)
            },
            **{("holdout", n): photo.name for n, photo in enumerate(self._spec.holdout)},
        }
        return [
            Note(names[view.role, view.position], view.error_code, f"{view.role} photo: {view.error_detail}")
            for view in self._given
            if view.error_code
        ]

    async def _absent(self) -> list[Note]:
        """Ids that were asked for and that are not there, or that a filter leaves out."""
        asked = list(dict.fromkeys(self._spec.ids.image_ids))
        passing = set((await self._gallery.collect(wanted_filter(self._spec), MAX_SIZE, among_ids=asked)).image_ids)
        missing = [image_id for image_id in asked if image_id not in passing]
        seen = {record.image_id async for record in self._gallery.records(missing)}
        return [
            Note(image_id, "filtered", "it does not pass the filter, or its licence does not permit the use")
            if image_id in seen
            else Note(image_id, "image_not_found", "there is no such image")
            for image_id in missing
        ]

    async def _why_empty(self, candidates: int, notes: Sequence[Note]) -> str:
        if not candidates:
            return await preflight.why_empty(self._gallery, self._spec)
        codes = sorted({note.code for note in notes})
        counts = ", ".join(f"{sum(note.code == code for note in notes):,} {code}" for code in codes)
        return f"{candidates:,} images pass the filters, and all of them were left out: {counts}"

    def _models(self, items: Sequence[Item]) -> dict[str, Any]:
        return {"models": sorted({label.model for item in items for label in item.labels})}
