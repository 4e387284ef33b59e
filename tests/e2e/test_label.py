"""`kindred label`: a folder becomes labels, and a stopped run goes on."""

import json
import os
import signal
from pathlib import Path

from support.commands import CommandLine, wait_for, write_photos

NAMES = ("astronaut.png", "chelsea.png", "coffee.png")


def test_a_folder_is_labelled_once_for_all_formats(command_line: CommandLine, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", NAMES), tmp_path / "out"
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (photos / os.fsdecode(b"caf\xe9.png")).write_bytes((photos / "chelsea.png").read_bytes())
    first = command_line.json("label", photos, "-o", out)
    assert (first["images"], first["resumed"], [f["path"] for f in first["failed"]]) == (
        4, 0, [str(photos / "broken.jpg")],
    )  # fmt: skip
    document = json.loads((out / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    ids = {image["file_name"]: image["id"] for image in document["images"]}
    cats = {a["image_id"] for a in document["annotations"] if names[a["category_id"]] == "cat"}
    assert ids["chelsea.png"] in cats
    assert "data:image/jpeg" in (out / "preview.html").read_text()

    for form, file in (("yolo", "labels/chelsea.txt"), ("voc", "annotations/chelsea.xml"), ("json", "labels.json")):
        again = command_line.json("label", photos, "-o", out, "--format", form)
        assert (again["images"], again["resumed"], again["boxes"]) == (4, 4, first["boxes"])
        assert (out / file).read_text()
    (photos / "coffee.png").write_bytes((photos / "astronaut.png").read_bytes())
    assert command_line.json("label", photos, "-o", out)["resumed"] == 3
    assert not command_line.data_dir.exists()
    assert sorted(path.name for path in photos.iterdir() if path.suffix == ".png")[:1] == ["astronaut.png"]

    other = command_line.run("label", photos, "-o", out, "--class", "cat", expect=2).stderr
    assert "other options" in other
    unknown = command_line.run("label", photos, "-o", tmp_path / "new", "--class", "cta", expect=1).stderr
    assert "did you mean cat" in unknown
    assert "holds other files" in command_line.run("label", photos, "-o", photos, expect=2).stderr
    assert "no format" in command_line.run("label", photos, "-o", out, "--format", "kitti", expect=2).stderr


def test_a_killed_run_goes_on(command_line: CommandLine, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", ["chelsea.png"]), tmp_path / "out"
    data = (photos / "chelsea.png").read_bytes()
    for number in range(60):
        (photos / f"{number:03}.png").write_bytes(data)
    journal = out / ".kindred-labels.jsonl"
    process = command_line.start("label", photos, "-o", out)
    wait_for(lambda: journal.exists() and len(journal.read_bytes().splitlines()) > 20, process)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert not (out / "annotations.json").exists()
    with journal.open("a") as file:
        file.write('{"size": 1, "image": {"pa')  # a line that the kill cut off
    second = command_line.json("label", photos, "-o", out)
    assert second["images"] == 61
    assert second["resumed"] >= 20
    whole = command_line.json("label", photos, "-o", tmp_path / "whole")
    assert whole["resumed"] == 0
    assert (out / "annotations.json").read_bytes() == (tmp_path / "whole" / "annotations.json").read_bytes()
