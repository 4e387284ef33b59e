"""Labels measured on the shared photos with known boxes, a few of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import CommandLine
from support.in_process import index, opened, search
from support.paths import shared

from kindred_kit.imaging import ImageLimits
from kindred_standalone.datasets.order import Arguments, order_of, with_precision

pytest.importorskip("pycocotools")
PHOTOS = 12


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    document: dict[str, Any] = json.loads((shared("data", "coco_boxes") / "instances.json").read_text())
    document["images"] = document["images"][:PHOTOS]
    ids = {image["id"] for image in document["images"]}
    document["annotations"] = [entry for entry in document["annotations"] if entry["image_id"] in ids]
    document["categories"].append({"id": 999, "name": "violin"})
    path = tmp_path_factory.mktemp("coco") / "few.json"
    path.write_text(json.dumps(document))
    return path


def test_tta_stands_beside_the_single_run(annotations: Path, command_line: CommandLine) -> None:
    images = shared("data", "coco_boxes", "images")
    measured = command_line.json("labels", "evaluate", "--coco", annotations, "--images", images, "--tta")
    single, tta = measured["ways"]
    assert (single["run"], tta["run"], measured["categories_without_class"]) == ("single", "tta", ["violin"])
    for way in (single, tta):
        assert 0.2 < way["ap"] < way["ap50"] < 0.9
        assert way["ms_per_image"] > 0
        at = [way["all"]["at"][threshold]["recall"] for threshold in ("0.1", "0.3", "0.5")]
        assert at == sorted(at, reverse=True)
        person = way["classes"]["person"]
        assert person["boxes"] > 5
        assert person["at"]["0.5"]["precision"] > 0.5
    assert not command_line.data_dir.exists()


async def test_thresholds_are_as_precise_as_asked(annotations: Path, command_line: CommandLine) -> None:
    images = shared("data", "coco_boxes", "images")
    few = [images / entry["file_name"] for entry in json.loads(annotations.read_text())["images"]]
    async with opened(command_line.data_dir) as session:
        await index(session, few)
    arguments = ("--coco", annotations, "--images", images, "--precision", "0.8", "--min-boxes", "5")
    said = command_line.run("labels", "calibrate", *arguments).stdout
    [output] = (command_line.data_dir / "calibrations").iterdir()
    assert str(output) in said
    document = json.loads(output.read_text())
    assert (document["label_set"], document["run"]) == ("coco-80", "lite_image/1")
    assert "person" in document["classes"]
    assert all(entry["precision"] >= 0.8 and entry["found"] >= 5 for entry in document["classes"].values())
    assert set(document["classes"]) | set(document["without"]) > {"person", "sheep"}

    # filters read it at once
    threshold = document["precisions"]["person"]["0.8"]
    assert threshold == document["classes"]["person"]["threshold"]
    async with opened(command_line.data_dir) as session:
        sure = await search(session.node, filter={"labels": {"all": [{"class": "person", "min_precision": 0.8}]}})
        assert 0 < len(sure) < len(few)
        for hit in sure:
            assert max(label["score"] for label in hit["labels"] if label["class"] == "person") >= threshold
        every = await search(session.node, filter={"labels": {"all": ["person"]}})
        assert {hit["id"] for hit in sure} <= {hit["id"] for hit in every}
        order = order_of(Arguments(labels=("person",), size=9), ImageLimits())
        precise = await with_precision(order, 0.8, session.node)
        assert precise.spec.class_thresholds["person"] == pytest.approx(threshold)
        assert list(precise.spec.classes) == sorted(document["classes"])  # no others are exported
        assert precise.key != order.key
    refused = command_line.run("search", "--label", "sheep", "--min-precision", "0.8", expect=1).stderr
    assert "sheep" in refused
    assert "so precise are" in refused


def test_unknown_models_and_no_gallery(annotations: Path, command_line: CommandLine) -> None:
    images = shared("data", "coco_boxes", "images")
    arguments = ("--coco", annotations, "--images", images)
    failed = command_line.run("labels", "evaluate", *arguments, "--ensemble", "lite_image,absent", expect=1)
    assert "absent" in failed.stderr
    assert "no gallery" in command_line.run("labels", "calibrate", *arguments, expect=1).stderr
