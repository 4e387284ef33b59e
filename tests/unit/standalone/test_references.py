"""Files that a user names are read only when they can be images."""

import os
from pathlib import Path

import pytest

from kindred_kit.errors import ImageTooLarge
from kindred_standalone.errors import FileUnreadable
from kindred_standalone.references import read_named


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    assert read_named(tmp_path / "a.jpg", 5) == b"bytes"


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(FileUnreadable, match="not a regular file"):
        read_named(tmp_path / "pipe.jpg", 100)


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageTooLarge, match="1,099,511,627,776 bytes"):
        read_named(os.fsencode(tmp_path / "sparse.jpg"), 100)


def test_a_folder_and_nothing_have_their_reasons(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="directory"):
        read_named(tmp_path, 1 << 30)
    with pytest.raises(FileUnreadable, match="no such file"):
        read_named(tmp_path / "none", 100)
