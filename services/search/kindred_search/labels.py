"""Label filters as set membership.

For each class an index row carries up to five tokens `set:id#c@b`: c = 1..5, b = bucket of the c-th best score.
"At least c boxes of score s" then reads: the row has any token with that c and a bucket >= that of s. Inside the bucket
of s the tokens cannot tell; unless s is the bucket's lower edge, the catalogue decides those rows.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kindred_kit.errors import InvalidArgument
from kindred_search.domain import Detection
from kindred_search.vectors.port import And, HasAny, IndexFilter, Not, Or

MAX_COUNT = 5
BUCKETS = 20
_EDGES = np.arange(BUCKETS + 1, dtype=np.float32) / np.float32(BUCKETS)
"""Lower edges of the buckets, as float32: scores and thresholds travel as float32, so that equal means equal."""

_LABEL_SET = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class LabelTerm:
    """At least `min_count` boxes of a class with a score of at least `min_score` (a float32 value)."""

    label_set: str
    class_id: int
    class_name: str
    min_score: float
    min_count: int

    @property
    def exact(self) -> bool:
        """Whether tokens alone decide it."""
        return float(_EDGES[bucket(self.min_score)]) == self.min_score


def bucket(score: float) -> int:
    """The highest bucket whose lower edge is not above the score."""
    return int(np.searchsorted(_EDGES, np.float32(score), side="right")) - 1


def require_label_set(name: str) -> str:
    """A label set's name, such as coco-80. Raises InvalidArgument."""
    if not _LABEL_SET.fullmatch(name):
        raise InvalidArgument(f"not a label set: {name[:80]!r}")
    return name


def tokens(detections: Iterable[Detection]) -> tuple[str, ...]:
    """Tokens of an image with these detections."""
    scores: dict[tuple[str, int], list[float]] = defaultdict(list)
    for found in detections:
        scores[found.label_set, found.class_id].append(found.score)
    return tuple(
        _token(label_set, class_id, count, bucket(score))
        for (label_set, class_id), of_class in sorted(scores.items())
        for count, score in enumerate(sorted(of_class, reverse=True)[:MAX_COUNT], start=1)
    )


def holds(term: LabelTerm, detections: Iterable[Detection]) -> bool:
    """Whether an image with these detections meets the term: the definition that tokens approximate."""
    meeting = (found for found in detections if (found.label_set, found.class_id) == (term.label_set, term.class_id))
    return sum(found.score >= term.min_score for found in meeting) >= term.min_count


def may_hold(term: LabelTerm) -> IndexFilter:
    """Rows that meet the term, and perhaps some of its bucket that do not."""
    return _at_least(term, bucket(term.min_score))


def surely_holds(term: LabelTerm) -> IndexFilter:
    """Rows that meet the term, without those of its bucket unless tokens decide them."""
    return _at_least(term, bucket(term.min_score) + (not term.exact))


def candidates(all_of: Sequence[LabelTerm], any_of: Sequence[LabelTerm], none_of: Sequence[LabelTerm]) -> IndexFilter:
    """No row that meets the three lists is missed; some may pass that do not, if a term is not exact."""
    parts: list[IndexFilter] = [may_hold(term) for term in all_of]
    if any_of:
        parts.append(Or(tuple(may_hold(term) for term in any_of)))
    parts += [Not(surely_holds(term)) for term in none_of]
    return And(tuple(parts))


def _at_least(term: LabelTerm, lowest: int) -> IndexFilter:
    buckets = range(lowest, BUCKETS + 1)
    return HasAny("labels", tuple(_token(term.label_set, term.class_id, term.min_count, b) for b in buckets))


def _token(label_set: str, class_id: int, count: int, score_bucket: int) -> str:
    return f"{label_set}:{class_id}#{count}@{score_bucket}"
