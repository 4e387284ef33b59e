"""The recipe of docs/label-sets.md: a YOLO of one's own becomes a label set beside coco-80, without a line of code."""

import json
import subprocess
from pathlib import Path

import yaml
from support.commands import CommandLine, environment, write_photos
from support.yolox import yolox_folder


def test_a_model_folder_is_a_label_set(command_line: CommandLine, tmp_path: Path) -> None:
    folder = yolox_folder(tmp_path / "own", name="pets_yolo", label_set="pets")
    # its own words for the same ids
    names = (folder / "labels.txt").read_text().replace("cat\n", "house cat\n")
    (folder / "labels.txt").write_text(names)
    photos = write_photos(tmp_path / "photos", ["chelsea.png", "coffee.png"])
    settings = environment(KINDRED_OWN_MODELS_DIR=str(tmp_path / "own"))

    def kindred(*arguments: str | Path, expect: int = 0) -> "subprocess.CompletedProcess[str]":
        command = command_line.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=settings)
        assert done.returncode == expect, done.stderr
        return done

    assert "pets" in kindred("models", "list").stdout
    # the manifest still has the hash of the list before it was edited
    assert "labels.txt" in kindred("models", "verify", expect=1).stdout
    kindred("index", photos)
    counted = {
        (entry["label_set"], entry["class"]): entry["images"]
        for entry in json.loads(kindred("status", "--json").stdout)["labels"]
    }
    assert counted["coco-80", "cat"] == 1
    assert counted["pets", "house cat"] == 1
    [hit] = json.loads(kindred("search", "a cat", "--label", "house cat", "--json").stdout)["results"]
    assert {"cat", "house cat"} <= {label["class"] for label in hit["labels"]}
    unknown = kindred("search", "a cat", "--label", "house car", expect=1).stderr
    assert "house cat (pets)" in unknown

    # one label set has one list of classes
    other = yolox_folder(tmp_path / "own", name="other", label_set="pets")
    assert yaml.safe_load((other / "model.yaml").read_text())["label_set"]["name"] == "pets"
    clash = kindred("models", "list", expect=1).stderr
    assert "pets" in clash
    assert "Traceback" not in clash


def test_a_missing_class_is_asked_for(gallery: CommandLine) -> None:
    first = gallery.json("labels", "request", "Violin")
    assert (first["class"], first["label_sets"]) == ("Violin", [])
    gallery.run("labels", "request", "violin")
    assert "coco-80" in gallery.run("labels", "request", "cat").stdout
    [entry] = gallery.json("labels", "requests")["requests"]
    assert (entry["class"], entry["requests"], entry["accounts"]) == ("violin", first["requests"] + 1, 1)
    assert "violin" in gallery.run("labels", "requests").stdout
