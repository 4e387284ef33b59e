"""File names of an export."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kindred_datasets.export.names import Names

ID = "ab" * 32


def test_its_own_name_where_that_is_safe() -> None:
    names = Names()
    assert names.stem("IMG_0001.JPG", ID) == "IMG_0001"
    assert names.stem("my photo (1).tar.gz", ID) == "my_photo_1_tar"
    assert names.stem("../../etc/passwd", ID) == "passwd"
    assert names.stem(r"C:\photos\dog.jpg", ID) == "dog"
    assert names.stem("café.jpg", ID) == ID[:16]


def test_a_name_is_given_once() -> None:
    names = Names()
    assert [names.stem("a.jpg", ID), names.stem("A.png", ID), names.stem("a.gif", ID), names.stem("a.bmp", ID)] == [
        "a", f"A_{ID[:16]}", ID, f"{ID}_2",
    ]  # fmt: skip
    assert names.stem("", "cd" * 32) == "cdcdcdcdcdcdcdcd"


def test_devices_of_windows() -> None:
    assert [Names().stem(name, ID) for name in ("con.jpg", "LPT1.png", "nul", "console.jpg")] == [
        "con_", "LPT1_", "nul_", "console",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=300), max_size=20))
def test_whatever_comes_is_safe_and_unique(given_names: list[str]) -> None:
    names = Names()
    stems = [names.stem(name, ID) for name in given_names]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", stem) for stem in stems)
    assert len({stem.lower() for stem in stems}) == len(stems)
