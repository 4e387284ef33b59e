"""Label filters by precision: the score from which on a class is that precise, for the labels that the gallery has.

Images may be labelled by several runs of one set, half way through a relabelling for instance. The strictest of their
thresholds counts then: each of the runs keeps what was asked for.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import InvalidArgument, ModelInvalid, PrecisionUnavailable
from kindred_kit.models.calibration import Calibration, read_calibration
from kindred_kit.models.runs import Run
from kindred_kit.telemetry import get_logger
from kindred_search.catalogue import labelling
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.classes import DEFAULT_LABEL_SET, Classes


class Calibrations:
    """`files` (those that exist), then `folder`/*.json, which win; read again when they change."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self._folder = folder
        self._files = files
        self._read: dict[Path, tuple[int, Calibration | None]] = {}
        self._log = get_logger("search")

    def all(self) -> dict[tuple[str, str], Calibration]:
        """By label set and run. A file that is none is left out, and logged once."""
        found: dict[tuple[str, str], Calibration] = {}
        for path in (*self._files, *sorted(self._folder.glob("*.json"))):
            calibration = self._of(path)
            if calibration is not None:
                found[calibration.label_set, calibration.run] = calibration
        return found

    def _of(self, path: Path) -> Calibration | None:
        try:
            changed_ns = path.stat().st_mtime_ns
            if self._read.get(path, (0, None))[0] != changed_ns:
                self._read[path] = changed_ns, None
                self._read[path] = changed_ns, read_calibration(path)
        except FileNotFoundError:
            return None
        except (ModelInvalid, OSError) as error:
            self._log.error("a calibration can't be used", file=str(path), error=str(error))
        return self._read.get(path, (0, None))[1]


class Precision:
    """Thresholds for the runs whose labels are in the catalogue."""

    def __init__(self, catalogue: Catalogue, classes: Classes, calibrations: Calibrations) -> None:
        self._catalogue = catalogue
        self._classes = classes
        self._calibrations = calibrations

    async def resolve(self, label_set: str, class_name: str, precision: float) -> tuple[str, int, float]:
        """Label set, class id and the lowest score that a class has to have: 0 where no precision is asked for.

        Raises UnknownLabel, PrecisionUnavailable.
        """
        found_set, class_id = await self._classes.resolve(label_set, class_name)
        return found_set, class_id, await self.min_score(found_set, class_name, precision) if precision else 0.0

    async def answer(self, request: pb.GetLabelThresholdsRequest) -> pb.GetLabelThresholdsResponse:
        """Raises InvalidArgument, UnknownLabel, PrecisionUnavailable."""
        if not 0 < request.min_precision <= 1:
            raise InvalidArgument("min_precision is above 0 and at most 1", pointer="/min_precision")
        precision = request.min_precision
        if not request.classes:
            thresholds, without = await self.thresholds(request.label_set, precision)
            return pb.GetLabelThresholdsResponse(thresholds=thresholds, without=without)
        found = {name: (await self.resolve(request.label_set, name, precision))[2] for name in request.classes}
        return pb.GetLabelThresholdsResponse(thresholds=found)

    async def min_score(self, label_set: str, class_name: str, precision: float) -> float:
        """Raises PrecisionUnavailable, which says what is available, or what to run."""
        precision = round(precision, 6)  # a float32, and 0.9 means 0.9
        score = max(_threshold(known, class_name, precision) for known in await self._of_set(label_set, precision))
        return float(np.float32(score))  # as the catalogue's scores came

    async def thresholds(self, label_set: str, precision: float) -> tuple[dict[str, float], list[str]]:
        """Class name -> lowest score, and the classes without one; `label_set` empty: of all sets that can tell.

        Raises PrecisionUnavailable where no set can.
        """
        precision = round(precision, 6)
        sets = (
            [label_set] if label_set else sorted({name for name, _ in self._calibrations.all()}) or [DEFAULT_LABEL_SET]
        )
        found: dict[str, float] = {}
        without: set[str] = set()
        refusals: list[PrecisionUnavailable] = []
        for name in sets:
            try:
                calibrations = await self._of_set(name, precision)
            except PrecisionUnavailable as error:
                refusals.append(error)
                continue
            for class_name in {known_class for known in calibrations for known_class in known.classes}:
                scores = [known.threshold(class_name, precision) for known in calibrations]
                certain = [score for score in scores if score is not None]
                if len(certain) < len(scores):
                    without.add(class_name)
                else:  # a name that two sets have gets the stricter threshold
                    found[class_name] = max(*certain, found.get(class_name, 0.0))
        if len(refusals) == len(sets):
            raise refusals[0]
        if not found:
            raise PrecisionUnavailable(f"no class is known to be labelled with a precision of {precision:g}")
        return found, sorted(without - set(found))

    async def _of_set(self, label_set: str, precision: float) -> list[Calibration]:
        """One for each run that the set's labels are of; before there are any, all that the set has."""
        all_known = self._calibrations.all()
        of_set = {run: known for (name, run), known in all_known.items() if name == label_set}
        runs = (await self._catalogue.read(labelling.runs_in_use)).get(label_set) or list(of_set)
        for run in runs:
            if run not in of_set:
                others = f" (there is one of {', '.join(sorted(of_set))})" if of_set else ""
                raise PrecisionUnavailable(
                    f"nobody has measured how precise the {label_set} labels of {run} are{others}; with photos whose "
                    f"boxes are known:  {_command(Run.parse(run).options, precision)}"
                )
        if not runs:
            raise PrecisionUnavailable(
                f"nobody has measured how precise {label_set} labels are; with photos whose boxes are known:  "
                f"{_command('', precision)}"
            )
        return [of_set[run] for run in runs]


def _threshold(calibration: Calibration, class_name: str, precision: float) -> float:
    found = calibration.threshold(class_name, precision)
    if found is not None:
        return found
    known = calibration.precisions(class_name)
    name = f"{class_name[:80]!r}"
    if known:
        shares = ", ".join(f"{share:g}" for share in sorted(known))
        raise PrecisionUnavailable(f"{name} labels of {calibration.run} are not known to be so precise; {shares} are")
    why = "too rarely found to tell, or never precise" if known is not None else "not among the photos it was made with"
    able = sorted(name for name, shares in calibration.classes.items() if max(shares, default=0.0) >= precision)
    others = f"; so precise are {', '.join(able)}" if able else ""
    raise PrecisionUnavailable(f"the calibration of {calibration.run} says nothing of {name}: {why}{others}")


def _command(options: str, precision: float) -> str:
    parts = ["kindred labels calibrate", options, f"--precision {precision:g}", "--coco FILE --images DIR"]
    return " ".join(part for part in parts if part)
