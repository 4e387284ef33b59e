"""Weighted boxes fusion: what several runs saw becomes one list of boxes.

Solovyev, Wang, Gabruseva: Weighted boxes fusion: Ensembling boxes from different object detection models, 2021.
Same results as the `ensemble-boxes` library with conf_type="avg" (a test compares), which needs numba and pandas.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kindred_kit.models import FoundBox

FUSION_IOU = 0.55
"""The paper's choice, and the library's."""


@dataclass(frozen=True)
class FusedBox:
    """A box and the runs (their positions, in order) that saw it."""

    box: FoundBox
    runs: tuple[int, ...]


@dataclass
class _Cluster:
    """Boxes of one object. `corners`: their mean, weighted by score."""

    corners: NDArray[np.float64]
    score_sum: float = 0.0
    weighted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    count: int = 0
    runs: set[int] = field(default_factory=set)

    def add(self, corners: NDArray[np.float64], score: float, run: int) -> None:
        self.weighted = self.weighted + score * corners
        self.score_sum += score
        self.count += 1
        self.runs.add(run)
        self.corners = self.weighted / self.score_sum


def fuse(runs: Sequence[Sequence[FoundBox]], iou: float = FUSION_IOU) -> list[FusedBox]:
    """Boxes of the same image from each run -> fused boxes, best score first.

    A fused score is the mean of its boxes' scores times the share of runs that have a box there: what one of two runs
    saw keeps half of its score. Boxes of different classes are never fused.
    """
    by_class: dict[int, list[tuple[FoundBox, int]]] = defaultdict(list)
    for run, boxes in enumerate(runs):
        for box in boxes:
            if box.score > 0:
                by_class[box.class_id].append((box, run))
    fused = [
        _fused(class_id, cluster, len(runs))
        for class_id, of_class in sorted(by_class.items())
        for cluster in _clusters(of_class, iou)
    ]
    return sorted(fused, key=lambda found: -found.box.score)


def _clusters(boxes: list[tuple[FoundBox, int]], iou: float) -> list[_Cluster]:
    """Each box, best first, joins the cluster that it overlaps most, if by more than `iou`, or begins one."""
    clusters: list[_Cluster] = []
    means = np.empty((len(boxes), 4))
    for box, run in sorted(boxes, key=lambda pair: -pair[0].score):
        corners = np.array([box.x_min, box.y_min, box.x_max, box.y_max])
        overlaps = _overlaps(means[: len(clusters)], corners)
        nearest = int(overlaps.argmax()) if clusters else 0
        if not clusters or overlaps[nearest] <= iou:
            nearest = len(clusters)
            clusters.append(_Cluster(corners))
        clusters[nearest].add(corners, box.score, run)
        means[nearest] = clusters[nearest].corners
    return clusters


def _overlaps(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes xyxy [k, 4] with one [4]."""
    sides = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    inner = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (box[2] - box[0]) * (box[3] - box[1]) - inner
    shares: NDArray[np.float64] = inner / np.maximum(union, np.finfo(np.float64).tiny)
    return shares


def _fused(class_id: int, cluster: _Cluster, runs: int) -> FusedBox:
    score = cluster.score_sum / cluster.count * min(runs, cluster.count) / runs
    x_min, y_min, x_max, y_max = (float(value) for value in cluster.corners)
    return FusedBox(FoundBox(class_id, score, x_min, y_min, x_max, y_max), tuple(sorted(cluster.runs)))
