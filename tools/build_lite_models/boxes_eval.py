"""Average precision of the detector with pycocotools, and the score threshold of highest F1."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from . import detector
from .extract import run_all
from .images import read, unletterbox
from .views import View

THRESHOLDS = tuple(round(0.15 + 0.025 * step, 3) for step in range(15))
OUTPUTS = ("boxes", "scores", "classes")


def measure(model: Path, folder: Path) -> dict[str, Any]:
    """AP, AP50 over all 100 detections of each photo; F1 at IoU 0.5 and its precision and recall by threshold."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "instances.json"))
        evaluation = COCOeval(truth, truth.loadRes(_detections(model, folder, truth)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    by_threshold = {threshold: _quality(evaluation, threshold) for threshold in THRESHOLDS}
    best = max(by_threshold, key=lambda threshold: by_threshold[threshold]["f1"])
    ap, ap50 = (round(float(value), 4) for value in evaluation.stats[:2])
    return {"ap": ap, "ap50": ap50, "best_f1_threshold": best, "by_threshold": by_threshold}


def _detections(model: Path, folder: Path, truth: COCO) -> list[dict[str, Any]]:
    categories = sorted(truth.getCatIds())
    ids = truth.getImgIds()
    paths = [folder / "images" / truth.imgs[i]["file_name"] for i in ids]
    found = run_all(model, [View(path) for path in paths], OUTPUTS)
    rows = []
    for row, (image_id, path) in enumerate(zip(ids, paths, strict=True)):
        boxes = unletterbox(found["boxes"][row], read(path), detector.INPUT_PX)
        for (x_min, y_min, x_max, y_max), score, label in zip(
            boxes.tolist(), *(found[k][row] for k in OUTPUTS[1:]), strict=True
        ):
            box = [x_min, y_min, x_max - x_min, y_max - y_min]
            rows.append({"image_id": image_id, "category_id": categories[label], "bbox": box, "score": float(score)})
    return rows


def _quality(evaluation: COCOeval, threshold: float) -> dict[str, float]:
    """Counted over all photos and classes, at IoU 0.5, all box sizes."""
    hits = kept = wanted = 0
    area = evaluation.params.areaRng[0]
    for entry in evaluation.evalImgs:
        if entry is None or entry["aRng"] != area:
            continue
        scores = np.asarray(entry["dtScores"])
        matched = np.asarray(entry["dtMatches"])[0] > 0
        hits += int((matched & (scores >= threshold)).sum())
        kept += int((scores >= threshold).sum())
        wanted += len(entry["gtIds"])
    precision, recall = hits / max(kept, 1), hits / max(wanted, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"f1": round(f1, 3), "precision": round(precision, 3), "recall": round(recall, 3)}
