"""Boxes in the three formats: written, and read back as their standards say."""

import io
import json
import xml.etree.ElementTree as ET

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from support.dataset_items import a_label

from kindred_datasets.domain import Label
from kindred_datasets.export.formats import Picture, coco, voc, yolo

Corners = tuple[float, float, float, float]
edges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
HALF_A_PIXEL = 0.5
ROUNDING = 0.02  # two decimals, and YOLO's six of a side of 9000


def from_coco(picture: Picture) -> Corners:
    file = coco.CocoFile(["dog"], io.BytesIO(), io.BytesIO())
    file.add(picture)
    written = io.BytesIO()
    file.write(written, {})
    x, y, w, h = json.loads(written.getvalue())["annotations"][0]["bbox"]
    return x, y, x + w, y + h


def from_yolo(picture: Picture) -> Corners:
    class_id, x, y, w, h = (float(value) for value in yolo.label_lines(picture, {"dog": 3}).split())
    assert class_id == 3
    assert all(0 <= value <= 1 for value in (x, y, w, h))
    left, top = (x - w / 2) * picture.width, (y - h / 2) * picture.height
    return left, top, left + w * picture.width, top + h * picture.height


def from_voc(picture: Picture) -> Corners:
    box = ET.fromstring(voc.annotation(picture)).find("object/bndbox")
    assert box is not None
    x_min, y_min, x_max, y_max = (float(box.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax"))
    # the devkit's rule: pixels from 1 to the width, both ends inside the box
    assert 1 <= x_min <= x_max <= picture.width
    assert 1 <= y_min <= y_max <= picture.height
    return x_min - 1, y_min - 1, x_max, y_max


@given(st.integers(1, 9000), st.integers(1, 9000), edges, edges)
@example(1, 1, [0.0, 1.0], [0.0, 0.0])
@example(100, 100, [0.106, 0.112], [0.5, 0.5])
@example(9000, 3, [0.99999, 1.0], [1.0, 1.0])
def test_the_three_agree_within_half_a_pixel(width: int, height: int, x: list[float], y: list[float]) -> None:
    picture = Picture("a.jpg", width, height, (a_label(box=(x[0], y[0], x[1], y[1])),))
    read = [reader(picture) for reader in (from_coco, from_yolo, from_voc)]
    for box in read:
        assert_near(x, width, box[0], box[2])
        assert_near(y, height, box[1], box[3])
        assert box == pytest.approx(read[0], abs=ROUNDING)
        assert box[2] - box[0] >= 0.98
        assert box[3] - box[1] >= 0.98


def assert_near(truth: list[float], side: int, low: float, high: float) -> None:
    low_truth, high_truth = truth[0] * side, truth[1] * side
    missing = max(0.0, 1 - (high_truth - low_truth))
    # what is less than a pixel grows to both sides, but along a border, where there is room on one side alone
    inside = low_truth >= missing / 2 and high_truth <= side - missing / 2
    allowed = (HALF_A_PIXEL if inside else max(HALF_A_PIXEL, missing)) + ROUNDING
    assert (low, high) == pytest.approx((low_truth, high_truth), abs=allowed)


def test_whole_pixels_are_written_whole() -> None:
    text = voc.annotation(Picture("a.jpg", 100, 50, (a_label(box=(0, 0, 1, 1)),)))
    assert "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox>" in text


def test_a_box_beyond_the_picture_is_cut() -> None:
    picture = Picture("a.jpg", 100, 50, ())
    assert picture.pixel_box(a_label(box=(-0.5, 0.5, 1.5, 2.0))) == (0, 25, 100, 50)
    assert picture.pixel_box(a_label(box=(1.2, 0.0, 1.5, 1.0))) == (99, 0, 100, 50)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(st.lists(names, min_size=1, max_size=5, unique=True))
def test_any_class_name_survives(classes: list[str]) -> None:
    assert list(yaml.safe_load(yolo.data_yaml(classes))["names"].values()) == classes
    assert yolo.data_yaml(classes).isascii()
    file = coco.CocoFile(classes, io.BytesIO(), io.BytesIO())
    written = io.BytesIO()
    file.write(written, {})
    assert [category["name"] for category in json.loads(written.getvalue())["categories"]] == classes
    labels: tuple[Label, ...] = tuple(a_label(name) for name in classes)
    document = ET.fromstring(voc.annotation(Picture("a.jpg", 10, 10, labels)).encode())
    known = json.loads(voc.dataset_meta(classes))["labels"]
    # what XML can't hold is replaced, and the list of classes names it alike
    assert [found.findtext("name") for found in document.findall("object")] == known
    assert all(name == kept or "?" in kept for name, kept in zip(classes, known, strict=True))


def test_scores_stand_beside_the_five_columns() -> None:
    labels = (a_label(score=0.12345), a_label(score=1.0, source="wbf", agreement=3))
    picture = Picture("a.jpg", 10, 10, labels)
    assert [len(line.split(" ")) for line in yolo.label_lines(picture, {"dog": 0}).splitlines()] == [5, 5]
    assert yolo.score_lines(picture) == "0.1235\tsingle\t1\tlite/1\tanimals\n1.0000\twbf\t3\tlite/1\tanimals\n"


def test_a_picture_without_boxes() -> None:
    picture = Picture("a.jpg", 10, 10, ())
    assert yolo.label_lines(picture, {}) == yolo.score_lines(picture) == ""
    assert ET.fromstring(voc.annotation(picture)).findall("object") == []
