"""Outputs of YOLO graphs become boxes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kindred_detector.heads import raw_boxes
from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest

CLASSES = ["forklift", "pallet", "person"]


def manifest(tmp_path: Path, **head: Any) -> ModelManifest:
    (tmp_path / "names.txt").write_text("\n".join(CLASSES) + "\n")
    document: dict[str, Any] = {
        "name": "own", "version": 1, "profile": "any", "kind": "detector", "license": "mine", "files": [],
        "inputs": [{"name": "images", "width": 64, "height": 32, "fit": "letterbox"}],
        "outputs": [{"name": "out"}], "label_set": {"name": "warehouse", "file": "names.txt"},
    }  # fmt: skip
    if head:
        document["head"] = head
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(document))
    return ModelManifest.load(tmp_path)


def test_yolov5_is_in_pixels_with_objectness(tmp_path: Path) -> None:
    output = np.array([[[32, 16, 16, 8, 0.5, 0.1, 0.8, 0.2]]], np.float32)
    found = raw_boxes(manifest(tmp_path, kind="yolov5"), {"out": output})
    np.testing.assert_allclose(found.boxes, [[24 / 64, 12 / 32, 40 / 64, 20 / 32]])
    assert (found.classes.tolist(), found.scores.tolist()) == ([1], [pytest.approx(0.4)])


def test_yolov8_is_transposed_and_has_no_objectness(tmp_path: Path) -> None:
    output = np.array([[32, 16, 16, 8, 0.1, 0.2, 0.9]] * 5, np.float32).T[np.newaxis]
    found = raw_boxes(manifest(tmp_path, kind="yolov8"), {"out": output})
    np.testing.assert_allclose(found.boxes, [[24 / 64, 12 / 32, 40 / 64, 20 / 32]] * 5)
    assert (found.classes.tolist(), found.scores[0]) == ([2] * 5, pytest.approx(0.9))


def test_yolox_counts_cells_of_its_strides(tmp_path: Path) -> None:
    # 64 x 32 px: 4 x 2 cells of stride 16, then 2 x 1 of stride 32
    output = np.zeros((1, 10, 8), np.float32)
    output[0, 6] = [0.5, 0.5, 0, np.log(0.5), 1, 0, 0, 0.7]  # third cell of the second row
    output[0, 9] = [0.5, 0.5, 0, 0, 0.5, 1, 0, 0]  # the last cell of all
    found = raw_boxes(manifest(tmp_path, kind="yolox", strides=[16, 32]), {"out": output})
    np.testing.assert_allclose(found.boxes[6] * [64, 32, 64, 32], [32, 20, 48, 28], atol=1e-5)
    np.testing.assert_allclose(found.boxes[9] * [64, 32, 64, 32], [32, 0, 64, 32], atol=1e-5)
    assert (found.classes[6], found.scores[6]) == (2, pytest.approx(0.7))
    assert (found.classes[9], found.scores[9]) == (0, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        ({"kind": "yolov5"}, (1, 5, 9)),
        ({"kind": "yolov8"}, (1, 8, 5)),
        ({"kind": "yolox", "strides": [16]}, (1, 10, 8)),
        ({"kind": "yolov5"}, (1, 8)),
        ({}, (1, 5, 8)),
    ],
)
def test_another_shape_than_the_manifest_says_is_an_error(
    tmp_path: Path, head: dict[str, Any], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ModelInvalid, match="own"):
        raw_boxes(manifest(tmp_path, **head), {"out": np.zeros(shape, np.float32)})


def test_what_is_not_finite_or_has_no_name_is_dropped(tmp_path: Path) -> None:
    output = np.array([[[32, 16, np.inf, 8, 1, 1, 0, 0], [32, 16, 8, np.nan, 1, 1, 0, 0], [1, 1, 1, 1, 1, 9, 0, 0]]])
    found = raw_boxes(manifest(tmp_path, kind="yolov5"), {"out": output.astype(np.float32)})
    assert found.scores.tolist() == [1.0]
    boxes, scores = np.zeros((1, 3, 4), np.float32), np.array([[0.5, 0.6, np.nan]], np.float32)
    found = raw_boxes(manifest(tmp_path), {"boxes": boxes, "scores": scores, "classes": np.array([[3, 2, 1]])})
    assert found.classes.tolist() == [2]


@pytest.mark.parametrize(
    "head",
    [{"kind": "ssd"}, {"kind": "yolox", "output": "absent"}, {"kind": "yolox", "strides": [0]}, {"output": "out"}],
)
def test_a_head_that_nobody_knows_is_refused(tmp_path: Path, head: dict[str, Any]) -> None:
    with pytest.raises(ModelInvalid):
        manifest(tmp_path, **head)


@pytest.mark.parametrize("names", ["a\n\nb", "a\nA", "a\n b \nb"])
def test_a_list_of_classes_names_each_once(tmp_path: Path, names: str) -> None:
    model = manifest(tmp_path, kind="yolov5")
    (tmp_path / "names.txt").write_text(names)
    with pytest.raises(ModelInvalid, match="classes"):
        _ = model.classes
