"""Arguments become an order; the same arguments on the same files are known again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.photos import encoded, noise_jpeg

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_kit.adapters.file_references import referenced_path
from kindred_kit.errors import InvalidRegion
from kindred_kit.imaging import ImageLimits
from kindred_standalone.datasets.order import Arguments, Order, order_of
from kindred_standalone.errors import UsageError

LIMITS = ImageLimits()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "failing"
    (photos / "a").mkdir(parents=True)
    (photos / "b").mkdir()
    (photos / "a" / "same.jpg").write_bytes(noise_jpeg(1, 200, 100))
    (photos / "b" / "same.jpg").write_bytes(noise_jpeg(2, 200, 100))
    (photos / "one.jpg").write_bytes(noise_jpeg(3, 200, 100))
    turned = Image.new("RGB", (200, 100))
    exif = turned.getexif()
    exif[0x0112] = 6  # upright it is 100 x 200
    (photos / "turned.jpg").write_bytes(encoded(turned, "JPEG", exif=exif))
    return photos


def coco(folder: Path, name: str, bbox: list[float], **changes: Any) -> Path:
    document = {
        "images": [{"id": 7, "file_name": name}],
        "annotations": [{"image_id": 7, "bbox": bbox, "category_id": 1}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    path = folder.parent / "boxes.json"
    path.write_text(json.dumps({**document, **changes}))
    return path


def made(folder: Path, **arguments: Any) -> Order:
    return order_of(Arguments(failures=folder, size=3, **arguments), LIMITS)


def test_photos_are_named_by_their_place_and_stay_there(folder: Path) -> None:
    photos = made(folder).spec.failures.photos
    assert [photo.given.name for photo in photos] == ["one.jpg", "turned.jpg", "a/same.jpg", "b/same.jpg"]
    assert [referenced_path(photo.given.blob_key) for photo in photos] == [
        folder / photo.given.name for photo in photos
    ]


@pytest.mark.parametrize(
    ("name", "bbox", "expected"),
    [
        ("one.jpg", [20, 10, 100, 50], ("one.jpg", (0.1, 0.1, 0.6, 0.6))),
        ("train2017/one.jpg", [0, 0, 200.4, 100], ("one.jpg", (0, 0, 1, 1))),
        ("a/same.jpg", [0, 0, 20, 10], ("a/same.jpg", (0, 0, 0.1, 0.1))),
        ("turned.jpg", [0, 100, 100, 100], ("turned.jpg", (0, 0.5, 1, 1))),
    ],
)
def test_boxes_find_their_photo(folder: Path, name: str, bbox: list[float], expected: Any) -> None:
    photos = made(folder, boxes=coco(folder, name, bbox)).spec.failures.photos
    [photo] = [photo for photo in photos if photo.missed]
    [box] = photo.missed
    assert (photo.given.name, (box.x_min, box.y_min, box.x_max, box.y_max)) == (
        expected[0],
        pytest.approx(expected[1], abs=1e-6),
    )
    assert box.class_name == "dog"


@pytest.mark.parametrize("bbox", [[150, 0, 100, 50], [-3, 0, 10, 10], [0, 0, 0, 10], [0, 95, 10, 10], [0, 0, 1e400, 1]])
def test_a_box_outside_its_photo(folder: Path, bbox: list[float]) -> None:
    with pytest.raises(InvalidRegion, match="200 x 100 px"):
        made(folder, boxes=coco(folder, "one.jpg", bbox))


@pytest.mark.parametrize("name", ["dog.jpg", "c/same.jpg", "../one/../../x.jpg"])
def test_a_photo_that_is_not_there_or_not_the_only_one(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="which is not in"):
        made(folder, boxes=coco(folder, name, [0, 0, 1, 1]))


@pytest.mark.parametrize(
    "changes", [{"images": None}, {"annotations": [{"image_id": 9, "bbox": [0, 0, 1, 1]}]}, {"annotations": [{}]}]
)
def test_a_file_that_is_no_coco_file(folder: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no COCO file"):
        made(folder, boxes=coco(folder, "one.jpg", [0, 0, 1, 1], **changes))


def test_the_same_arguments_on_the_same_files_have_the_same_key(folder: Path) -> None:
    first = made(folder).key
    assert made(folder).key == first
    assert made(folder, diversity=0.1).key != first
    os.utime(folder / "one.jpg", ns=(1, 1))
    assert made(folder).key != first


def test_ids_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text(f"# two\n\n{'A' * 64}\n {'b' * 64} \n{'a' * 64}\n")
    assert list(order_of(Arguments(ids=path), LIMITS).spec.ids.image_ids) == ["a" * 64, "b" * 64]
    for text, said in (("", "no id"), ("a\x1b[31m", r"line 1: no image id \(64 hex digits\): a\\e")):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            order_of(Arguments(ids=path), LIMITS)


def test_a_query_keeps_its_text_and_thresholds_name_the_classes() -> None:
    spec = order_of(Arguments(query="a dog", size=3, thresholds={"dog": 0.5, "cat": 0.25}), LIMITS).spec
    assert (spec.query.text, list(spec.query.terms)) == ("a dog", [])
    assert (list(spec.classes), dict(spec.class_thresholds)) == (["cat", "dog"], {"dog": 0.5, "cat": 0.25})
    assert spec.format == pb.FORMAT_COCO
