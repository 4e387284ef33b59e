"""index -> search -> show -> move -> rm -> status -> reindex, as a user does it."""

import hashlib
from pathlib import Path

from support.commands import CommandLine, write_photos

NAMES = ("chelsea.png", "coffee.png", "rocket.jpg")


def test_a_gallery_from_its_first_image_to_its_last(command_line: CommandLine, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "my photos", NAMES)
    (photos / "notes.txt").write_text("not an image")
    (photos / ".hidden.jpg").write_bytes(b"")
    ids = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.glob("[a-z]*.*g")}

    first = command_line.run("index", photos)
    assert "3 indexed, 0 already known, 0 failed, 1 skipped that are no images (1 .txt)" in first.stdout
    before = thumb_times(command_line)
    assert len(before) == 3

    second = command_line.json("index", photos)
    assert (second["indexed"], second["known"], second["failed"]) == (0, 3, 0)
    assert thumb_times(command_line) == before, "a second run embedded something again"

    found = command_line.json("search", "a cat", "--limit", "2")
    assert found["results"][0]["id"] == ids["chelsea.png"]
    assert len(found["results"]) == 2
    assert found["results"][0]["score"] > found["results"][1]["score"]

    table = command_line.run("search", "a cat", "--html", tmp_path / "sheet.html").stdout
    assert "chelsea.png" in table.splitlines()[3]
    assert (tmp_path / "sheet.html").read_text().count("data:image/jpeg;base64,") == 3

    shown = command_line.json("show", ids["coffee.png"][:8])
    assert shown["id"] == ids["coffee.png"]
    assert (shown["width"], shown["height"]) == (600, 400)
    assert command_line.json("show", photos / "coffee.png") == shown

    (photos / "rocket.jpg").rename(photos / "moved.jpg")
    assert "(missing)" in command_line.run("show", ids["rocket.jpg"][:12]).stdout
    moved = command_line.json("index", photos)
    assert (moved["indexed"], moved["known"]) == (0, 3)
    assert "moved.jpg" in command_line.run("show", ids["rocket.jpg"][:12]).stdout
    assert thumb_times(command_line) == before

    assert command_line.json("rm", ids["coffee.png"][:8]) == {"deleted": [ids["coffee.png"]]}
    assert (photos / "coffee.png").exists()
    assert ids["coffee.png"] not in {hit["id"] for hit in command_line.json("search", "coffee")["results"]}
    command_line.run("show", ids["coffee.png"], expect=1)

    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["pending"], status["failed"]) == (2, 2, 0, 0)
    assert command_line.json("reindex")["images"] == 2
    assert len(command_line.json("search", "anything")["results"]) == 2

    again = command_line.json("index", photos)
    assert (again["indexed"], again["known"]) == (1, 2)
    assert command_line.json("search", "a cup of coffee")["results"][0]["id"] == ids["coffee.png"]


def thumb_times(command_line: CommandLine) -> dict[str, int]:
    """Each embedding writes its thumbnail: the times tell whether there was another."""
    folder = command_line.data_dir / "blobs" / "thumbs"
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
