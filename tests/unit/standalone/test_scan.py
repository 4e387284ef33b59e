"""Scanning folders with hostile names, links in circles and things that are no images."""

import os
from pathlib import Path

import pytest

from kindred_standalone.scan import Found, scan

JPEG = b"\xff\xd8\xff\xe0" + bytes(16)


def names(found: Found, root: Path) -> list[bytes]:
    return [os.path.relpath(path, os.fsencode(root)) for path in found.candidates]


def test_lists_images_below_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.jpg", "a.PNG", "b/c.webp", "b/a.heic"):
        (tmp_path / name).write_bytes(JPEG)
    assert names(scan([tmp_path]), tmp_path) == [b"a.PNG", b"z.jpg", b"b/a.heic", b"b/c.webp"]


def test_hidden_files_and_folders_are_passed_over_unless_named(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.jpg").write_bytes(JPEG)
    (tmp_path / ".b.jpg").write_bytes(JPEG)
    assert scan([tmp_path]).candidates == []
    assert scan([tmp_path]).skipped.total() == 0
    assert names(scan([tmp_path / ".cache", tmp_path / ".b.jpg"]), tmp_path) == [b".cache/a.jpg", b".b.jpg"]


def test_a_file_counts_by_suffix_or_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "no_suffix").write_bytes(JPEG)
    (tmp_path / "photo.bak").write_bytes(JPEG)
    (tmp_path / "text.jpg").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_bytes(b"words")
    (tmp_path / "README").write_bytes(b"")
    found = scan([tmp_path])
    assert names(found, tmp_path) == [b"no_suffix", b"photo.bak", b"text.jpg"]
    assert found.skipped == {".txt": 1, "": 1}


def test_a_file_named_itself_is_always_a_candidate(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"words")
    assert names(scan([tmp_path / "notes.txt"]), tmp_path) == [b"notes.txt"]


@pytest.mark.parametrize("name", [b"two words.jpg", b"two\nlines.jpg", b"caf\xe9.jpg", b"-rf.jpg", "写真.jpg".encode()])
def test_any_name_survives(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(JPEG)
    assert scan([tmp_path]).candidates == [path]


def test_links_in_circles_end_and_a_folder_is_entered_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(JPEG)
    (folder / "up").symlink_to(tmp_path)
    (folder / "self").symlink_to(folder)
    (tmp_path / "again").symlink_to(folder)
    found = scan([tmp_path, folder])
    assert len(found.candidates) == 1
    assert found.problems == []


def test_broken_links_to_images_have_reasons(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    found = scan([tmp_path])
    assert {Path(os.fsdecode(problem.path)).name: problem.code for problem in found.problems} == {
        "gone.jpg": "file_missing",
        "loop.jpg": "file_unreadable",
    }
    assert found.candidates == []


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert scan([tmp_path]).candidates == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    (tmp_path / "z.jpg").write_bytes(JPEG)
    try:
        found = scan([tmp_path])
    finally:
        closed.chmod(0o700)
    assert [problem.code for problem in found.problems] == ["folder_unreadable"]
    assert names(found, tmp_path) == [b"z.jpg"]


def test_the_excluded_folder_is_never_entered(tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "thumb.jpg").write_bytes(JPEG)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    assert names(scan([tmp_path], exclude=[tmp_path / "gallery"]), tmp_path) == [b"a.jpg"]


def test_a_file_given_twice_is_one_candidate(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    assert len(scan([tmp_path / "a.jpg", tmp_path, tmp_path / "a.jpg"]).candidates) == 1


def test_a_pipe_with_an_images_name_is_told_of(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    found = scan([tmp_path])
    assert found.candidates == []
    assert [(problem.code, problem.detail) for problem in found.problems] == [("file_unreadable", "not a regular file")]
