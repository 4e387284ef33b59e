"""Hostile names never reach the terminal as they are."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred_standalone.text import count_text, printable, printable_path, shortened, size_text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("two\nlines.jpg", r"two\nlines.jpg"),
        ("\x1b[31mred\x1b[0m.jpg", r"\e[31mred\e[0m.jpg"),
        ("bell\x07.jpg", r"bell\x07.jpg"),
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("line\u2028separator", r"line\u2028separator"),
        ("naïve 写真 👩‍🚀.jpg", "naïve 写真 👩‍🚀.jpg"),
    ],
)
def test_what_could_fool_a_reader_is_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_bytes_that_are_not_utf8_show_as_hex() -> None:
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == r"caf\xe9.jpg"


@given(st.binary(min_size=1).filter(lambda name: b"\x00" not in name))
def test_any_name_becomes_one_encodable_line(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


def test_the_home_folder_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert printable_path("/home/ada/cat.jpg") == "~/cat.jpg"
    assert printable_path("/home/adam/cat.jpg") == "/home/adam/cat.jpg"


def test_numbers_read_well() -> None:
    assert [size_text(size) for size in (0, 999, 1234, 5_600_000)] == ["0 B", "999 B", "1.2 kB", "5.6 MB"]
    assert count_text(1, "image") == "1 image"
    assert count_text(1234, "image") == "1,234 images"


def test_what_lies_below_the_working_directory_is_shown_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printable_path(tmp_path / "photos" / "cat.jpg") == "photos/cat.jpg"
    assert printable_path(f"{tmp_path}-other/cat.jpg").endswith("-other/cat.jpg")
    assert printable_path(tmp_path) == str(tmp_path)


@given(st.text(alphabet="ab/", max_size=40), st.integers(min_value=4, max_value=30))
def test_no_path_is_wider_than_its_column(path: str, columns: int) -> None:
    assert len(shortened(path, columns)) <= columns


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(99, "/a/folder/of/photos/dog.jpg"), (20, "…/of/photos/dog.jpg"), (9, "…/dog.jpg"), (8, "…/d….jpg")],
)
def test_leading_folders_give_way_first(columns: int, shown: str) -> None:
    assert shortened("/a/folder/of/photos/dog.jpg", columns) == shown
