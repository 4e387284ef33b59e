"""One owner at a time, and nothing left behind by those that died."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kindred_standalone.datadir import DataDirectory, Ownership
from kindred_standalone.errors import DataDirectoryUnusable, GalleryMissing


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory.at(tmp_path / "gallery")
    directory.create()
    return directory


def owned(directory: DataDirectory) -> Ownership:
    ownership = directory.try_own("test")
    assert ownership is not None
    return ownership


def test_is_private(directory: DataDirectory) -> None:
    ownership = owned(directory)
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(ownership.info.sockets).stat().st_mode) == 0o700
    ownership.release()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissing):
        DataDirectory.at(tmp_path / "gallery").require()
    assert not (tmp_path / "gallery").exists()


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    with pytest.raises(DataDirectoryUnusable, match="other files"):
        DataDirectory.at(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before


def test_a_file_in_its_place_is_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "gallery").write_bytes(b"")
    with pytest.raises(DataDirectoryUnusable, match="file exists"):
        DataDirectory.at(tmp_path / "gallery").create()


def test_has_one_owner_until_it_gives_up(directory: DataDirectory) -> None:
    first = owned(directory)
    assert directory.try_own("test") is None
    first.release()
    second = owned(directory)
    second.release()


def test_tells_where_it_answers_only_while_it_does(directory: DataDirectory) -> None:
    ownership = owned(directory)
    assert directory.owner() is None
    ownership.announce("http://127.0.0.1:8080")
    owner = directory.owner()
    assert owner is not None
    assert (owner.pid, owner.command, owner.url) == (os.getpid(), "test", "http://127.0.0.1:8080")
    ownership.retract()
    assert directory.owner() is None
    ownership.release()


def test_the_owner_file_of_nonsense_is_no_owner(directory: DataDirectory) -> None:
    for text in ("", "{", "[]", json.dumps({"pid": 1})):
        directory.owner_file.write_text(text)
        assert directory.owner() is None


def test_the_sockets_of_a_killed_owner_are_cleaned_up(directory: DataDirectory) -> None:
    script = (
        "import os, signal, socket, sys; from pathlib import Path\n"
        "from kindred_standalone.datadir import DataDirectory\n"
        "ownership = DataDirectory.at(Path(sys.argv[1])).try_own('test'); ownership.announce()\n"
        "socket.socket(socket.AF_UNIX).bind(ownership.info.socket('search')); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(directory.root)], check=False, timeout=60)
    dead = directory.owner()
    assert dead is not None
    assert Path(dead.socket("search")).is_socket()
    ownership = owned(directory)
    assert not Path(dead.sockets).exists()
    assert directory.owner() is None
    ownership.release()


def test_clean_up_removes_sockets_alone(directory: DataDirectory, tmp_path: Path) -> None:
    precious = tmp_path / "kindred-photos"
    precious.mkdir()
    (precious / "a.jpg").write_bytes(b"")
    info = {"pid": 1, "sockets": str(precious), "command": "index", "url": ""}
    directory.owner_file.write_text(json.dumps(info))
    owned(directory).release()
    assert (precious / "a.jpg").exists()


def test_socket_names_stay_short_however_deep_the_data_directory(tmp_path: Path) -> None:
    directory = DataDirectory.at(tmp_path / ("deep" * 30) / ("deeper" * 30))
    directory.create()
    ownership = owned(directory)
    path = ownership.info.socket("embedder")
    assert len(os.fsencode(path)) <= 107
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    ownership.release()


def test_a_runtime_directory_with_a_long_name_is_passed_over(
    directory: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    ownership = owned(directory)
    assert not ownership.info.sockets.startswith(str(long))
    ownership.release()
