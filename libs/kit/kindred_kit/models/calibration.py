"""From which score on the labels of a class are how precise: files that `kindred labels calibrate` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred_kit.errors import ModelInvalid
from kindred_kit.models.classes import class_key


@dataclass(frozen=True)
class Calibration:
    """Of one label set and one run (see `runs`). `classes`: class name -> precision -> lowest score, both 0..1.

    A class whose map is empty was looked for and was never precise, or was too rarely found to tell.
    """

    label_set: str
    run: str
    classes: Mapping[str, Mapping[float, float]]

    def precisions(self, class_name: str) -> Mapping[float, float] | None:
        """Precision -> lowest score; None for a class that it does not know."""
        wanted = class_key(class_name)
        return next((known for name, known in self.classes.items() if class_key(name) == wanted), None)

    def threshold(self, class_name: str, precision: float) -> float | None:
        """The lowest score from which on the class is at least as precise; None where no score is known to be."""
        known = self.precisions(class_name) or {}
        reached = [share for share in known if share >= precision]
        return known[min(reached)] if reached else None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Calibration:
        """Raises KeyError, TypeError, ValueError, AttributeError for anything else than a calibration."""
        classes = {
            str(name): {_share(precision): _share(score) for precision, score in known.items()}
            for name, known in document["precisions"].items()
        }
        return cls(str(document["label_set"]), str(document["run"]), classes)


def read_calibration(path: Path) -> Calibration:
    """Raises ModelInvalid, OSError."""
    try:
        return Calibration.of(json.loads(path.read_bytes()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelInvalid(f"{path.name} is no file of kindred labels calibrate: {error!r}") from error


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not within 0..1")
    return share
