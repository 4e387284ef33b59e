"""Precision, recall and calibration on numbers made by hand."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kindred_standalone.detecting import augmentation_of
from kindred_standalone.errors import UsageError
from kindred_standalone.evaluation import EvaluationUnavailable, Matches, Truth


def matches(*pairs: tuple[float, bool], there: int) -> Matches:
    return Matches(np.array([score for score, _ in pairs]), np.array([right for _, right in pairs], bool), there)


FOUND = matches((0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.5, False), (0.4, True), there=5)


def test_precision_and_recall_at_a_threshold() -> None:
    at = FOUND.at(0.6)
    assert (at.found, at.right, at.precision, at.recall) == (4, 3, 0.75, 0.6)
    none = FOUND.at(0.95)
    assert (none.precision, none.recall) == (None, 0)
    assert matches((0.5, False), there=0).at(0.1).recall is None


def test_precision_where_the_recall_is_reached() -> None:
    assert FOUND.precision_at_recall(0.6) == 0.75
    assert FOUND.precision_at_recall(0.4) == 1
    assert FOUND.precision_at_recall(0.9) is None


def test_a_threshold_holds_from_there_on() -> None:
    assert FOUND.threshold_for(0.75, 1) == 0.8  # .7 is below: that .6 is precise enough again is luck
    assert FOUND.threshold_for(0.6, 1) == 0.4
    assert FOUND.threshold_for(0.6, 4) == 0.4
    assert FOUND.threshold_for(0.7, 4) == 0.6
    assert FOUND.threshold_for(0.9, 4) is None
    assert FOUND.threshold_for(0.6, 7) is None
    assert matches(there=3).threshold_for(0.5, 1) is None


def test_equal_scores_count_together() -> None:
    tied = matches((0.9, True), (0.5, True), (0.5, False), (0.5, False), there=3)
    assert tied.threshold_for(0.9, 1) == 0.9
    assert tied.threshold_for(0.5, 1) == 0.5


def test_without_pycocotools_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("pycocotools"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(EvaluationUnavailable, match="pip install"):
        Truth(tmp_path / "a.json", tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"images": 1, "annotations": [], "categories": []}', "\xff"])
def test_a_file_that_is_no_annotations_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, "latin-1")
    with pytest.raises(UsageError, match="no COCO annotation file"):
        Truth(path, tmp_path)


def test_missing_files_and_foreign_categories_are_said(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}],
        "annotations": [],
        "categories": [{"id": 7, "name": "Traffic_Light"}, {"id": 9, "name": "violin"}],
    }
    path = tmp_path / "a.json"
    with pytest.raises(UsageError, match="can't be read"):
        Truth(path, tmp_path)
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"a\.jpg"):
        Truth(path, tmp_path)
    (tmp_path / "a.jpg").touch()
    truth = Truth(path, tmp_path)
    assert truth.categories(["car", "traffic light"]) == ({1: 7}, ["violin"])
    with pytest.raises(UsageError, match="none of"):
        truth.categories(["forklift"])


def test_scales_of_the_command_line() -> None:
    assert augmentation_of(tta=True, scales="0.75, 1.5").scales == (0.75, 1.5)
    with pytest.raises(UsageError):
        augmentation_of(tta=False, scales="large")
