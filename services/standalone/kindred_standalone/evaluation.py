"""How good are the labels? COCO's AP and AR, and precision and recall of each class at thresholds."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_detector.detection import DetectedImage, Detector
from kindred_kit.errors import KindredError, Status
from kindred_kit.models import class_key
from kindred_standalone.detecting import Way
from kindred_standalone.errors import UsageError
from kindred_standalone.text import printable, printable_path

THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
_MATCH_IOU = 0.5
_DETECTIONS = 100  # COCO's AP looks at the best hundred of an image
_RECALL_STAT = 8


class EvaluationUnavailable(KindredError):
    """pycocotools is an optional extra."""

    code = "evaluation_unavailable"
    status = Status.PRECONDITION


@dataclass(frozen=True)
class Quality:
    """At one threshold, at IoU 0.5. `precision` is None where nothing was found, `recall` where nothing was there."""

    found: int
    right: int
    there: int

    @property
    def precision(self) -> float | None:
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.right / self.there if self.there else None


@dataclass(frozen=True)
class Matches:
    """Detections of a class (or of all): `scores` falling, `right` whether each met a true box of `there`."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    there: int

    def at(self, threshold: float) -> Quality:
        kept = int((self.scores >= threshold).sum())
        return Quality(kept, int(self.right[:kept].sum()), self.there)

    def precision_at_recall(self, recall: float) -> float | None:
        """Of the shortest list of best detections that reaches this recall; None where none does."""
        found = np.cumsum(self.right) >= recall * self.there - 1e-9
        if not found.any():
            return None
        first = int(found.argmax())
        return float(self.right[: first + 1].mean())

    def threshold_for(self, precision: float, at_least: int) -> float | None:
        """The lowest threshold from which on precision holds with `at_least` detections above it; None: there is none.

        Also at every higher threshold with that many detections, so that one lucky stretch does not decide.
        """
        share = np.cumsum(self.right) / np.arange(1, len(self.right) + 1)
        # at a threshold, all detections of that score count
        ends = np.append(np.diff(self.scores) != 0, True) if len(self.scores) else np.zeros(0, bool)
        lowest = None
        for position in np.flatnonzero(ends):
            if position + 1 < at_least:
                continue
            if share[position] < precision:
                break
            lowest = float(self.scores[position])
        return lowest


@dataclass(frozen=True)
class Measured:
    """One way of looking, measured. `run` as labels keep it, `classes` by name, `total` over all classes together."""

    way: Way
    label_set: str
    model: str
    run: str
    ap: float
    ap50: float
    ar: float
    seconds_per_image: float
    total: Matches
    classes: Mapping[str, Matches]


class Truth:
    """A COCO annotation file and the folder of its images."""

    def __init__(self, annotations: Path, images: Path) -> None:
        """Raises EvaluationUnavailable, UsageError."""
        self._coco = _read(annotations)
        self._folder = images
        missing = [entry["file_name"] for entry in self.images if not self.path(entry).is_file()]
        if missing:
            raise UsageError(
                f"{len(missing):,} of {len(self.images):,} images are not in {printable_path(images)}, "
                f"such as {printable(str(missing[0]))}"
            )

    @property
    def images(self) -> list[dict[str, Any]]:
        return list(self._coco.dataset["images"])

    def path(self, entry: Mapping[str, Any]) -> Path:
        return self._folder / str(entry["file_name"])

    def categories(self, classes: Sequence[str]) -> tuple[dict[int, int], list[str]]:
        """Class id -> category id, and the categories that the label set lacks. Raises UsageError where all are."""
        ids = {class_key(name): class_id for class_id, name in enumerate(classes)}
        known: dict[int, int] = {}
        lacking: list[str] = []
        for entry in self._coco.dataset["categories"]:
            class_id = ids.get(class_key(entry["name"]))
            if class_id is None:
                lacking.append(entry["name"])
            else:
                known[class_id] = entry["id"]
        if not known:
            raise UsageError("the label set has none of the annotations' categories")
        return known, lacking

    async def measure(self, detector: Detector, way: Way, on_image: Callable[[], None]) -> Measured:
        """Look at every image, one at a time, so that the time is that of one. Raises the errors of the detector."""
        options = replace(way.options, score_threshold=0.0, max_detections=_DETECTIONS)
        rows: list[dict[str, Any]] = []
        seconds = 0.0
        detected: DetectedImage | None = None
        categories: dict[int, int] = {}
        for entry in self.images[:1]:  # a model is loaded at its first use: that is no image's time
            await detector.detect(await asyncio.to_thread(self.path(entry).read_bytes), options)
        for entry in self.images:
            data = await asyncio.to_thread(self.path(entry).read_bytes)
            started = time.perf_counter()
            detected = await detector.detect(data, options)
            seconds += time.perf_counter() - started
            categories = categories or self.categories(detected.models[0].classes)[0]
            rows += _rows(detected, entry["id"], categories)
            on_image()
        if detected is None:
            raise UsageError("the annotations name no images")
        stats, matches = await asyncio.to_thread(self._compare, rows, sorted(categories.values()))
        classes = detected.models[0].classes
        return Measured(
            way=way,
            label_set=detected.models[0].label_set,
            run=str(way.options.run(detected.models)),
            model="+".join(f"{model.name}/{model.version}" for model in detected.models),
            ap=stats[0],
            ap50=stats[1],
            ar=stats[_RECALL_STAT],
            seconds_per_image=seconds / len(self.images),
            total=_joined(list(matches.values())),
            classes={classes[class_id]: matches[category] for class_id, category in sorted(categories.items())},
        )

    def _compare(
        self, rows: list[dict[str, Any]], category_ids: Sequence[int]
    ) -> tuple[list[float], dict[int, Matches]]:
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            found = self._coco.loadRes(rows) if rows else type(self._coco)()
            evaluation = COCOeval(self._coco, found, "bbox")
            evaluation.params.catIds = list(category_ids)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [max(0.0, float(value)) for value in evaluation.stats], _matches(evaluation, category_ids)


def _read(annotations: Path) -> Any:
    try:
        from pycocotools.coco import COCO
    except ImportError:
        raise EvaluationUnavailable(
            "pycocotools is not installed; it comes with:  pip install 'kindred-standalone[evaluate]'"
        ) from None
    try:
        document = json.loads(annotations.read_bytes())
        if not all(isinstance(document[key], list) for key in ("images", "annotations", "categories")):
            raise TypeError("images, annotations and categories are lists")
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = document
            coco.createIndex()
    except OSError as error:
        raise UsageError(f"{printable_path(annotations)} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{printable_path(annotations)} is no COCO annotation file: {error}") from None
    return coco


def _rows(detected: DetectedImage, image_id: int, categories: Mapping[int, int]) -> list[dict[str, Any]]:
    width, height = detected.width, detected.height
    return [
        {
            "image_id": image_id,
            "category_id": categories[found.box.class_id],
            "score": found.box.score,
            "bbox": [
                found.box.x_min * width,
                found.box.y_min * height,
                (found.box.x_max - found.box.x_min) * width,
                (found.box.y_max - found.box.y_min) * height,
            ],
        }
        for found in detected.boxes
        if found.box.class_id in categories
    ]


def _matches(evaluation: Any, category_ids: Sequence[int]) -> dict[int, Matches]:
    """Per category, at IoU 0.5 and for all sizes of boxes; crowds count neither for nor against."""
    iou = int(np.argmin(np.abs(evaluation.params.iouThrs - _MATCH_IOU)))
    collected: dict[int, list[tuple[NDArray[np.float64], NDArray[np.bool_]]]] = {c: [] for c in category_ids}
    there = dict.fromkeys(category_ids, 0)
    for entry in evaluation.evalImgs:
        if entry is None or entry["aRng"] != evaluation.params.areaRng[0]:
            continue
        counted = ~np.asarray(entry["dtIgnore"], bool)[iou]
        scores = np.asarray(entry["dtScores"], np.float64)[counted]
        collected[entry["category_id"]].append((scores, np.asarray(entry["dtMatches"])[iou][counted] > 0))
        there[entry["category_id"]] += int((~np.asarray(entry["gtIgnore"], bool)).sum())
    return {
        category: _sorted(
            np.concatenate([np.zeros(0), *(scores for scores, _ in parts)]),
            np.concatenate([np.zeros(0, bool), *(right for _, right in parts)]),
            there[category],
        )
        for category, parts in collected.items()
    }


def _joined(parts: Sequence[Matches]) -> Matches:
    scores = np.concatenate([part.scores for part in parts])
    return _sorted(scores, np.concatenate([part.right for part in parts]), sum(part.there for part in parts))


def _sorted(scores: NDArray[np.float64], right: NDArray[np.bool_], there: int) -> Matches:
    order = np.argsort(-scores, kind="stable")
    return Matches(scores[order], right[order], there)
