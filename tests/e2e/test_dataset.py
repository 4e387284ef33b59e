"""`kindred dataset`: from failing photos to a training set, as a person would do it."""

import json
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.commands import CommandLine, Server, wait_for, write_photos
from support.photos import noise_jpeg, skimage_photo


@pytest.fixture
def served(gallery: CommandLine, server: Server) -> CommandLine:
    """Served, so that each command is a quick client."""
    return gallery


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cat that is not in the gallery, cut from one that is; a torn photo; the box of the cat's face."""
    folder = tmp_path_factory.mktemp("given") / "failing"
    folder.mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "cat.png").write_bytes(skimage_photo("chelsea.png"))
    (folder / "torn.jpg").write_bytes(noise_jpeg(1)[:200])
    boxes = {
        "images": [{"id": 1, "file_name": "cat.png"}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [100, 40, 250, 200.4]}],
    }
    (folder.parent / "boxes.json").write_text(json.dumps(boxes))
    return folder


def manifest(output: Path) -> Any:
    if output.suffix == ".zip":
        with zipfile.ZipFile(output) as archive:
            return json.loads(archive.read("manifest.json"))
    return json.loads((output / "manifest.json").read_bytes())


def test_from_failing_photos_to_a_folder(served: CommandLine, failing: Path, tmp_path: Path) -> None:
    done = served.run(
        "dataset", "build", "--failures", failing, "--boxes", failing.parent / "boxes.json", "--size", "4",
        "--val-share", "0.5", "--format", "yolo", "-o", tmp_path / "out",
    )  # fmt: skip
    assert "images" in done.stdout
    assert "1 that could not be read: image_truncated" in done.stdout
    made = manifest(tmp_path / "out")
    photos = {entry["photo"]: entry["boxes"] for entry in made["made_from"]["failures"]}
    assert set(photos) == {"sub/cat.png", "torn.jpg"}
    [box] = photos["sub/cat.png"]
    assert (box["class"], box["xyxyn"]) == (
        "cat",
        pytest.approx([100 / 451, 40 / 300, 350 / 451, 240.4 / 300], abs=1e-5),
    )
    files = [entry for entry in made["files"] if "image_id" in entry]
    assert len(files) == 4
    assert all((tmp_path / "out" / entry["path"]).is_file() for entry in files)
    assert {made["counts"][split]["images"] for split in ("train", "val")} == {2}


def test_a_query_as_a_zip_and_what_becomes_of_it(served: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "cats.zip"
    made = served.json("dataset", "build", "--query", "a cat", "--size", "2", "--name", "cats", "-o", out)
    assert (made["state"], made["images"], made["name"]) == ("done", 2, "cats")
    again = served.run("dataset", "build", "--query", "a cat", "--size", "2", "--name", "cats", "-o", out, expect=2)
    assert "is there already" in again.stderr
    listed = served.json("dataset", "list")["datasets"]
    assert made["id"] in {dataset["id"] for dataset in listed}
    assert "near_copy" not in served.run("dataset", "show", made["id"][:12]).stdout
    served.run("dataset", "download", made["id"], "-o", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == out.read_bytes()
    served.run("dataset", "rm", made["id"])
    assert "no data set begins with" in served.run("dataset", "show", made["id"], expect=2).stderr


def test_ids_filters_and_links(served: CommandLine, tmp_path: Path) -> None:
    hits = served.json("search", "a cat", "--limit", "3")["results"]
    (tmp_path / "ids.txt").write_text("# chosen by hand\n\n" + "\n".join(hit["id"] for hit in hits[::-1]) + "\n")
    made = served.json("dataset", "build", "--ids", tmp_path / "ids.txt", "--links", "-o", tmp_path / "out.zip")
    assert made["images"] == 3
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        links = archive.read("links.csv").decode()
        assert all(hit["id"] in links for hit in hits)
        assert not [name for name in archive.namelist() if name.endswith((".jpg", ".png"))]
    made = served.json("dataset", "build", "--label", "cat", "--size", "9", "-o", tmp_path / "cats")
    assert made["images"] == 1
    assert made["notes_by_code"] == {"fewer_than_asked": 1}


@pytest.mark.parametrize(
    ("arguments", "expect", "said"),
    [
        (["--size", "3"], 2, "say what to build from"),
        (["--query", "a", "--ids", "x", "--size", "3"], 2, "say what to build from"),
        (["--query", "a"], 2, "--size"),
        (["--query", "a", "--size", "3", "--format", "pascal"], 2, "there are coco, yolo, voc"),
        (["--query", "a", "--size", "0"], 2, "--size"),
        (["--query", "a", "--size", "3", "--label-score", "1.5"], 2, "--label-score"),
        (["--query", "a", "--size", "3", "--license-type", "free"], 1, "no licence type"),
        (["--query", "a", "--size", "3", "--label", "catt"], 1, "did you mean cat"),
        (["--query", "a", "--size", "3", "--class", "catt"], 1, "did you mean cat"),
        (["--query", "a", "--size", "3", "--label", "zebra"], 1, "without any 6"),
        (["--failures", "nowhere", "--size", "3"], 2, "there is no folder"),
        (["--query", "a", "--size", "3", "--holdout", "nowhere"], 2, "there is no folder"),
        (["--query", "a", "--size", "3", "--boxes", "x"], 2, "--boxes goes with --failures"),
        (["--query", "a", "--size", "3", "-o", "no/where/out"], 2, "there is no folder"),
    ],
)
def test_bad_orders(served: CommandLine, arguments: list[str], expect: int, said: str) -> None:
    assert said in served.run("dataset", "build", *arguments, expect=expect).stderr


def test_given_folders_that_can_not_be_meant(served: CommandLine, failing: Path, tmp_path: Path) -> None:
    def refused(*arguments: Any, expect: int) -> str:
        return served.run("dataset", "build", "--size", "3", *arguments, expect=expect).stderr

    (tmp_path / "empty").mkdir()
    assert "no images" in refused("--failures", tmp_path / "empty", expect=2)
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert "no failure photo can be looked at" in refused("--failures", torn, expect=1)
    boxes = json.loads((failing.parent / "boxes.json").read_text())
    boxes["annotations"][0]["bbox"] = [400, 40, 250, 200]
    (tmp_path / "outside.json").write_text(json.dumps(boxes))
    said = refused("--failures", failing, "--boxes", tmp_path / "outside.json", expect=1)
    assert "[400, 40, 250, 200] does not lie in cat.png, which has 451 x 300 px" in said
    boxes["images"][0]["file_name"] = "dog.png"
    (tmp_path / "other.json").write_text(json.dumps(boxes))
    assert "names dog.png" in refused("--failures", failing, "--boxes", tmp_path / "other.json", expect=2)
    (tmp_path / "none.json").write_text("[]")
    assert "no COCO file" in refused("--failures", failing, "--boxes", tmp_path / "none.json", expect=2)
    (tmp_path / "ids.txt").write_text("not an id\n")
    assert "line 1" in served.run("dataset", "build", "--ids", tmp_path / "ids.txt", expect=2).stderr


def test_ctrl_c_and_the_same_command_again(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.run("index", write_photos(tmp_path / "photos"))
    holdout = tmp_path / "holdout"
    holdout.mkdir()
    for seed in range(48):
        (holdout / f"{seed}.jpg").write_bytes(noise_jpeg(seed))
    command = ("dataset", "build", "--query", "a cat", "--size", "3", "--holdout", holdout, "-o", tmp_path / "out.zip")
    running = command_line.start(*command)

    def embedded() -> bool:
        database = command_line.data_dir / "datasets.db-wal"
        return database.exists() and database.stat().st_size > 32 * 3_000  # 32 vectors of 768 numbers

    wait_for(embedded, running)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "run the same command again" in stderr
    assert not (tmp_path / "out.zip").exists()
    before = command_line.json("dataset", "list")["datasets"]
    assert [dataset["state"] for dataset in before] in (["queued"], ["running"])
    command_line.run(*command)
    [after] = command_line.json("dataset", "list")["datasets"]
    assert (after["id"], after["state"]) == (before[0]["id"], "done")
    assert manifest(tmp_path / "out.zip")["made_from"]["holdout_photos"] == 48
    assert not [name for name in os.listdir(tmp_path) if "kindred-new" in name]
