"""What became of the images of one `kindred index` or `kindred ingest`."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kindred_standalone.text import printable


@dataclass(frozen=True)
class Problem:
    """A file or folder that could not be indexed: `code` is stable, `detail` is for a person."""

    path: bytes
    code: str
    detail: str


_KEPT_FAILURES = 10_000
"""Of a list of millions, enough to see what is wrong; all are counted."""


@dataclass
class Summary:
    """Counts of files. `indexed` are new here, `known` were indexed before, `duplicates` are the same bytes again."""

    total: int = 0
    indexed: int = 0
    known: int = 0
    duplicates: int = 0
    failures: list[Problem] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def fail(self, problem: Problem) -> None:
        """Count it, and keep it while there are not too many."""
        self.reasons[problem.code] += 1
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(problem)

    def add(self, other: Summary) -> None:
        """Count what another run did, too."""
        for name in ("total", "indexed", "known", "duplicates", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures.extend(other.failures)
        self.reasons.update(other.reasons)
        self.skipped.update(other.skipped)

    @property
    def failed(self) -> int:
        return self.reasons.total()

    @property
    def done(self) -> int:
        return self.indexed + self.known + self.duplicates + self.failed

    @property
    def searchable(self) -> bool:
        """Whether at least one file of the run can be found now."""
        return self.indexed + self.known + self.duplicates > 0

    def as_json(self) -> dict[str, Any]:
        """For `--json`: counts, and each failure with its reason."""
        return {
            "total": self.total,
            "indexed": self.indexed,
            "known": self.known,
            "duplicates": self.duplicates,
            "failed": self.failed,
            "failed_by_reason": dict(self.reasons.most_common()),
            "skipped": sum(self.skipped.values()),
            "skipped_by_suffix": {printable(suffix): count for suffix, count in sorted(self.skipped.items())},
            "seconds": round(self.seconds, 3),
            "failures": [
                {"path": printable(os.fsdecode(problem.path)), "code": problem.code, "detail": problem.detail}
                for problem in self.failures
            ],
        }
