"""Exports of labels, read back."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from kindred_standalone.errors import UsageError
from kindred_standalone.label_formats import FORMATS, FoundLabel, LabelledImage, files
from kindred_standalone.labelling import read_thresholds, write_export

CLASSES = ("cat", 'do"g <&> \x07', "bus")
BOX = (0.1, 0.2, 0.35, 0.75)
BUS, ODD = FoundLabel(2, 0.87654, BOX, "wbf", 2, "x/1+y/1"), FoundLabel(1, 0.5, (0, 0, 1, 1), "single", 1, "x/1")
TINY = FoundLabel(0, 0.3, (0.5, 0.5, 0.501, 0.501), "tta", 1, "x/1")
IMAGES = [
    LabelledImage("a.jpg", 640, 480, (BUS, ODD)),
    LabelledImage("sub/b.jpg", 100, 50, ()),
    LabelledImage("a.png", 10, 10, (TINY,)),
]
EXPECTED = (64, 96, 224, 360)


def export(form: str) -> dict[str, str]:
    return {name: content.decode() for name, content in files(form, IMAGES, CLASSES, "animals")}


def test_coco() -> None:
    document = json.loads(export("coco")["annotations.json"])
    assert [image["file_name"] for image in document["images"]] == ["a.jpg", "sub/b.jpg", "a.png"]
    first = document["annotations"][0]
    x, y, w, h = first["bbox"]
    assert (x, y, x + w, y + h) == EXPECTED
    assert first["score"] == 0.8765
    assert first["attributes"] == {"source": "wbf", "agreement": 2, "model": "x/1+y/1", "label_set": "animals"}
    names = {category["id"]: category["name"] for category in document["categories"]}
    assert names[first["category_id"]] == "bus"
    assert len({entry["id"] for entry in document["annotations"]}) == 3


def test_coco_loads_in_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    write_export(tmp_path, "coco", IMAGES, CLASSES, "animals")
    loaded = coco.COCO(str(tmp_path / "annotations.json"))
    assert len(loaded.getAnnIds(imgIds=[1])) == 2
    assert loaded.getAnnIds(imgIds=[2]) == []


def test_yolo() -> None:
    written = export("yolo")
    lines = [[float(value) for value in line.split()] for line in written["labels/a.txt"].splitlines()]
    assert [len(line) for line in lines] == [5, 5]
    class_id, x, y, w, h = lines[0]
    assert class_id == 2
    assert [(x - w / 2) * 640, (y - h / 2) * 480, (x + w / 2) * 640, (y + h / 2) * 480] == pytest.approx(
        EXPECTED, abs=0.01
    )
    assert [line.split("\t")[:3] for line in written["scores/a.txt"].splitlines()] == [
        ["0.8765", "wbf", "2"], ["0.5000", "single", "1"],
    ]  # fmt: skip
    assert written["labels/sub/b.txt"] == ""
    assert "labels/a.png.txt" in written  # a.txt is a.jpg's
    import yaml

    assert tuple(yaml.safe_load(written["data.yaml"])["names"].values()) == CLASSES


def test_voc_counts_from_1() -> None:
    written = export("voc")
    root = ET.fromstring(written["annotations/a.xml"])
    box = root.find("object/bndbox")
    assert box is not None
    assert tuple(int(box.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax")) == (65, 97, 224, 360)
    assert (root.findtext("object/score"), root.findtext("filename")) == ("0.8765", "a.jpg")
    assert root.findall("object")[1].findtext("name") == 'do"g <&> ?'
    assert ET.fromstring(written["annotations/sub/b.xml"]).findtext("folder") == "sub"
    tiny = ET.fromstring(written["annotations/a.png.xml"]).find("object/bndbox")
    assert tiny is not None  # a hundredth of a pixel wide: VOC can't say less than one
    assert tiny.findtext("xmin", "") == tiny.findtext("xmax", "")


def test_json_says_everything() -> None:
    document = json.loads(export("json")["labels.json"])
    assert document["label_set"] == "animals"
    assert document["images"][0]["labels"][0] == {
        "class": "bus",
        "score": 0.8765,
        "bbox": [64, 96, 160, 264],
        "source": "wbf",
        "agreement": 2,
        "model": "x/1+y/1",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_file_names_of_any_bytes(tmp_path: Path, form: str) -> None:
    odd = [LabelledImage("caf\udce9 \u202e\n.jpg", 10, 10, (FoundLabel(0, 0.5, BOX, "single", 1, "x/1"),))]
    write_export(tmp_path, form, odd, CLASSES, "animals")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    if form == "voc":
        [path] = (tmp_path / "annotations").iterdir()
        ET.fromstring(path.read_bytes())


def test_a_full_disk_leaves_the_old_export_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_export(tmp_path, "yolo", IMAGES, CLASSES, "animals")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, calls = Path.write_bytes, 0

    def full(self: Path, *arguments: object, **options: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OSError(28, "No space left on device")
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_export(tmp_path, "yolo", IMAGES[1:], CLASSES, "animals")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "text", ["", "[]", '{"classes": {}}', '{"classes": {"a": {}}}', '{"classes": {"a": {"threshold": 2}}}']
)
def test_a_file_that_holds_no_thresholds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_thresholds(path)
