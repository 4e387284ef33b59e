"""Copies among the candidates: those of the holdout and of the failure photos go, those of each other are joined."""

from collections.abc import Sequence
from dataclasses import dataclass

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.candidates import Candidate
from kindred_datasets.domain import Note
from kindred_datasets.jobs import Progress


@dataclass(frozen=True)
class Guarded:
    """What is left, in order; `groups`: near copies have the same number; why the others went."""

    candidates: list[Candidate]
    groups: dict[str, int]
    notes: list[Note]


class Guard:
    def __init__(self, spec: pb.DatasetSpec, progress: Progress) -> None:
        self._own = {photo.image_id for photo in spec.failures.photos if photo.image_id}
        self._holdout = set(spec.holdout_ids)
        self._progress = progress

    async def check(self, candidates: Sequence[Candidate], *, collapse: bool) -> Guarded:
        """Without what was given itself; `collapse`: of near copies the best alone is kept."""
        kept = [candidate for candidate in candidates if candidate.image_id not in self._own | self._holdout]
        notes = [
            Note(candidate.image_id, "near_copy_of_holdout", "it is in the holdout itself")
            for candidate in candidates
            if candidate.image_id in self._holdout
        ]
        return Guarded(kept, {candidate.image_id: n for n, candidate in enumerate(kept)}, notes)
