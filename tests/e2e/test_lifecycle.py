"""index -> search -> show -> move -> rm -> status -> reindex, as a user does it."""

import hashlib
from pathlib import Path

import pytest
from support.commands import CommandLine, serving, write_photos

NAMES = ("chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = write_photos(tmp_path / "my photos", NAMES)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


def id_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_index_and_search_each_in_a_process_of_its_own(command_line: CommandLine, photos: Path, tmp_path: Path) -> None:
    first = command_line.run("index", photos)
    assert "3 indexed, 0 already known, 0 failed, 1 skipped that are no images (1 .txt)" in first.stdout
    before = thumb_times(command_line)
    assert len(before) == 3

    second = command_line.json("index", photos)
    assert (second["indexed"], second["known"], second["failed"]) == (0, 3, 0)
    assert thumb_times(command_line) == before, "a second run embedded something again"

    table = command_line.run("search", "a cat", "--html", tmp_path / "sheet.html").stdout
    assert "chelsea.png" in table.splitlines()[3]
    assert (tmp_path / "sheet.html").read_text().count("data:image/jpeg;base64,") == 3


def test_a_gallery_from_its_first_image_to_its_last(command_line: CommandLine, photos: Path, tmp_path: Path) -> None:
    for _ in serving(command_line, tmp_path / "server.log"):  # each command is its client, which starts faster
        the_life_of(command_line, photos)


def the_life_of(command_line: CommandLine, photos: Path) -> None:
    cat, coffee, rocket = (id_of(photos / name) for name in NAMES)
    assert command_line.json("index", photos)["indexed"] == 3
    before = thumb_times(command_line)

    found = command_line.json("search", "a cat", "--limit", "2")["results"]
    assert found[0]["id"] == cat
    assert len(found) == 2
    assert found[0]["score"] > found[1]["score"]

    shown = command_line.json("show", coffee[:8])
    assert (shown["id"], shown["width"], shown["height"]) == (coffee, 600, 400)
    assert command_line.json("show", photos / "coffee.png") == shown

    (photos / "rocket.jpg").rename(photos / "moved.jpg")
    assert "(missing)" in command_line.run("show", rocket[:12]).stdout
    moved = command_line.json("index", photos)
    assert (moved["indexed"], moved["known"]) == (0, 3)
    assert "moved.jpg" in command_line.run("show", rocket[:12]).stdout
    assert thumb_times(command_line) == before, "a moved file was embedded again"

    assert command_line.json("rm", coffee[:8]) == {"deleted": [coffee]}
    assert (photos / "coffee.png").exists()
    assert coffee not in {hit["id"] for hit in command_line.json("search", "coffee")["results"]}
    command_line.run("show", coffee, expect=1)

    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["pending"], status["failed"]) == (2, 2, 0, 0)
    assert command_line.json("reindex")["images"] == 2
    assert len(command_line.json("search", "anything")["results"]) == 2

    again = command_line.json("index", photos)
    assert (again["indexed"], again["known"]) == (1, 2)
    assert command_line.json("search", "a cup of coffee")["results"][0]["id"] == coffee


def thumb_times(command_line: CommandLine) -> dict[str, int]:
    """Each embedding writes its thumbnail: the times tell whether there was another."""
    folder = command_line.data_dir / "blobs" / "thumbs"
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
