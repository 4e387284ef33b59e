"""What became of the files of one `kindred index`."""

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


@dataclass
class Summary:
    """Counts of files. `indexed` are new here, `known` were indexed before, `duplicates` are the same bytes again."""

    total: int = 0
    indexed: int = 0
    known: int = 0
    duplicates: int = 0
    failures: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        return len(self.failures)

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
            "skipped": sum(self.skipped.values()),
            "skipped_by_suffix": {printable(suffix): count for suffix, count in sorted(self.skipped.items())},
            "seconds": round(self.seconds, 3),
            "failures": [
                {"path": printable(os.fsdecode(problem.path)), "code": problem.code, "detail": problem.detail}
                for problem in self.failures
            ],
        }
