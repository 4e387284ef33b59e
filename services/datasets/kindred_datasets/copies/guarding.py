"""Copies among the images of a data set: those of the holdout and of the failure photos go, those of each other too."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.copies.near_copies import (
    COLLAPSE_LEAST_COSINE,
    COLLAPSE_MOST_EACH,
    GUARD_LEAST_COSINE,
    GUARD_MOST_EACH,
    described,
    pairs_between,
    pairs_within,
)
from kindred_datasets.copies.pictures import Both, Pictures, Subject
from kindred_datasets.domain import Note
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Progress, Stage
from kindred_datasets.selection.candidates import Candidate
from kindred_datasets.selection.embedding import FAILURE, HOLDOUT
from kindred_datasets.store.checkpoints import GivenView
from kindred_kit.imaging.copies import Copy
from kindred_kit.selection import Groups, Vectors

_CODES = {HOLDOUT: "near_copy_of_holdout", FAILURE: "near_copy_of_failure_photo"}


@dataclass(frozen=True)
class Guarded:
    """What is left, in order; `groups`: near copies have the same number; why the others went."""

    candidates: list[Candidate]
    groups: dict[str, int]
    notes: list[Note]


@dataclass(frozen=True)
class _Protected:
    """A photo of which the data set must hold no copy."""

    role: str
    subject: Subject
    vector: NDArray[np.floating]


class Guard:
    """Asked again with more candidates it looks at the new ones alone."""

    def __init__(
        self,
        gallery: Gallery,
        pictures: Pictures,
        spec: pb.DatasetSpec,
        given: Sequence[GivenView],
        progress: Progress,
    ) -> None:
        self._gallery = gallery
        self._pictures = pictures
        self._spec = spec
        self._given = given
        self._progress = progress
        self._itself = {
            **dict.fromkeys((photo.image_id for photo in spec.failures.photos if photo.image_id), FAILURE),
            **dict.fromkeys(spec.holdout_ids, HOLDOUT),
        }
        self._protected: list[_Protected] | None = None
        self._rows: dict[str, NDArray[np.float16]] = {}

    async def check(self, candidates: Sequence[Candidate], *, collapse: bool) -> Guarded:
        """Without what was given itself and without copies of it; `collapse`: of near copies the best alone is kept.

        Raises SpaceMismatch where the index has moved to another space since the photos were embedded.
        """
        notes = [
            Note(candidate.image_id, _CODES[role], f"it is a {role} photo itself")
            for candidate in candidates
            if (role := self._itself.get(candidate.image_id))
        ]
        others = [candidate for candidate in candidates if candidate.image_id not in self._itself]
        ids = [candidate.image_id for candidate in others]
        rows = await self._embeddings(ids)
        leaks = await self._leaks(ids, rows)
        clean = [n for n, image_id in enumerate(ids) if image_id not in leaks]
        groups, copies = await self._groups([ids[n] for n in clean], rows[clean], all_pairs=collapse)
        kept = [others[n] for n in clean]
        notes += leaks.values()
        if collapse:
            best = _best(kept, groups)
            notes += [
                Note(candidate.image_id, "near_copy", _of(best[group].image_id, candidate.image_id, copies))
                for candidate in kept
                if candidate is not best[group := groups[candidate.image_id]]
            ]
            kept = [candidate for candidate in kept if candidate is best[groups[candidate.image_id]]]
        return Guarded(kept, groups, notes)

    async def _leaks(self, ids: Sequence[str], rows: Vectors) -> dict[str, Note]:
        """Images that are copies of a protected photo."""
        protected = await self._all_protected()
        if not protected:
            return {}
        vectors = np.stack([photo.vector for photo in protected]).astype(np.float32)
        found = await asyncio.to_thread(pairs_between, rows, vectors, GUARD_LEAST_COSINE, GUARD_MOST_EACH)
        pairs = {(protected[pair.other].subject, _image(ids[pair.one])): protected[pair.other] for pair in found}
        leaks: dict[str, Note] = {}
        for (original, image), copy in (await self._compared(list(pairs))).items():
            detail = f"of {original.name}: {described(copy)}"
            leaks.setdefault(image.image_id, Note(image.image_id, _CODES[pairs[original, image].role], detail))
        return leaks

    async def _groups(
        self, ids: Sequence[str], rows: Vectors, *, all_pairs: bool
    ) -> tuple[dict[str, int], dict[Both, Copy]]:
        """Image id -> number that copies share; and how they are copies, of `all_pairs` or of enough to tell groups.

        Enough: of images that are joined already, by others, nothing is learnt. The groups are the same; among many
        copies of few photos that is half of the comparisons.
        """
        found = await asyncio.to_thread(pairs_within, rows, COLLAPSE_LEAST_COSINE, COLLAPSE_MOST_EACH)
        rest = {(_image(ids[pair.one]), _image(ids[pair.other])): (pair.one, pair.other) for pair in found}
        groups = Groups(len(ids))
        copies: dict[Both, Copy] = {}
        while rest:
            trial = groups.copy()
            wanted = [pair for pair, places in rest.items() if all_pairs or trial.join(*places)]
            more = await self._compared(wanted)
            for pair in more:
                groups.join(*rest[pair])
            copies |= more
            compared = set(wanted)
            rest = {pair: places for pair, places in rest.items() if pair not in compared and groups.are_apart(*places)}
        return dict(zip(ids, groups.numbers().tolist(), strict=True)), copies

    async def _compared(self, pairs: Sequence[Both]) -> dict[Both, Copy]:
        self._progress.begin(Stage.GUARD, len(pairs))
        return await self._pictures.copies(pairs, self._progress)

    async def _all_protected(self) -> list[_Protected]:
        """Given photos as they were embedded, gallery photos as the index has them; those without a vector are left."""
        if self._protected is None:
            names = {(HOLDOUT, n): photo for n, photo in enumerate(self._spec.holdout)}
            names |= {(FAILURE, n): photo.given for n, photo in enumerate(self._spec.failures.photos)}
            given = [
                _Protected(view.role, Subject(photo.name or "a photo", blob_key=photo.blob_key), view.vector)
                for view in self._given
                if view.view == 0 and view.vector is not None and (photo := names[view.role, view.position]).blob_key
            ]
            ids = list(self._itself)
            rows = await self._embeddings(ids)
            gallery = [
                _Protected(self._itself[image_id], _image(image_id), row)
                for image_id, row in zip(ids, rows, strict=True)
                if row.any()
            ]
            self._protected = [*given, *gallery]
        return self._protected

    async def _embeddings(self, ids: Sequence[str]) -> NDArray[np.float16]:
        """One row an id; zeros, which nothing is like, for an image that was deleted at this moment."""
        space = next((view.space for view in self._given if view.space), "")
        new = [image_id for image_id in ids if image_id not in self._rows]
        found, vectors = await self._gallery.embeddings(new, space)
        self._rows.update(zip(found, vectors, strict=True))
        none = np.zeros(vectors.shape[1] if len(vectors) else 1, np.float16)
        rows = [self._rows.get(image_id) for image_id in ids]
        none = next((np.zeros_like(row) for row in rows if row is not None), none)
        return np.stack([none if row is None else row for row in rows]) if rows else np.empty((0, 1), np.float16)


def _image(image_id: str) -> Subject:
    return Subject(image_id, image_id=image_id)


def _best(candidates: Sequence[Candidate], groups: Mapping[str, int]) -> dict[int, Candidate]:
    """Of each group the one with the best score, the first among equals."""
    best: dict[int, Candidate] = {}
    for candidate in candidates:
        known = best.setdefault(groups[candidate.image_id], candidate)
        if (candidate.score or 0.0) > (known.score or 0.0):
            best[groups[candidate.image_id]] = candidate
    return best


def _of(kept: str, left_out: str, copies: Mapping[Both, Copy]) -> str:
    copy = copies.get((_image(kept), _image(left_out)))
    return f"of {kept}: {described(copy)}" if copy else f"of {kept}"
