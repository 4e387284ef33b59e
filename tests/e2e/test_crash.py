"""kill -9 at every durable boundary, then the same run again: every photo once, none lost, none doubled.

`make test-crash` (KINDRED_LONG=1, about 20 minutes on two quiet cores) takes ten seeds a boundary, and 500 photos where
the real command dies; `make test` a short form.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.photos import noise_jpeg

LONG = bool(os.environ.get("KINDRED_LONG"))
FEW = 60
"""At a boundary the moment is chosen, not met by chance: more photos would only take longer."""
MANY = 500 if LONG else FEW
SEEDS = range(10 if LONG else 1)
CHILD = Path(__file__).with_name("crash_child.py")
BOUNDARIES = ("blob-", "blob+", "record-", "record+", "publish-", "publish+", "write-", "write+", "commit-", "commit+")
# How often each operation happens in a run of `FEW` photos at the least; the fuse is set within it.
OCCURRENCES = {"blob": FEW, "record": -(-FEW // 32), "publish": 1, "write": FEW // 8, "commit": -(-FEW // 32)}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("photos"), MANY)


def written(folder: Path, count: int) -> Path:
    for seed in range(count):
        (folder / f"{seed:04d}.jpg").write_bytes(noise_jpeg(seed))
    return folder


def ids(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def child(data_dir: Path, photos: Path, boundary: str, count: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(CHILD), str(data_dir), str(photos), boundary, str(count)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def kindred(data_dir: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(data_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=check)


def assert_complete(data_dir: Path, photos: Path) -> None:
    """Ask the gallery itself, in a fresh process."""
    script = Path(__file__).parents[1] / "support" / "holdings.py"
    some_id = next(iter(ids(photos)))
    command = [sys.executable, str(script), str(data_dir), some_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_holds_exactly(json.loads(done.stdout), photos)


def assert_holds_exactly(holdings: dict[str, Any], photos: Path) -> None:
    """Every photo once, none lost, none doubled, nothing left to do."""
    expected = ids(photos)
    n = len(expected)
    found = Counter(holdings["found"])
    assert set(found) == expected
    assert set(found.values()) == {1}
    counts = {name: holdings[name] for name in ("images", "indexed", "index_rows", "pending", "failed", "outbox")}
    assert counts == {"images": n, "indexed": n, "index_rows": n, "pending": 0, "failed": 0, "outbox": 0}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_a_boundary_and_run_again(tmp_path: Path, few: Path, boundary: str, seed: int) -> None:
    count = random.Random(f"{boundary} {seed}").randint(1, OCCURRENCES[boundary[:-1]])
    died = child(tmp_path / "data", few, boundary, count)
    assert died.returncode == -signal.SIGKILL, f"the fuse did not burn: {died.stdout} {died.stderr}"
    again = child(tmp_path / "data", few, "none", 1)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert_holds_exactly(report, few)
    assert report["passes"] <= 2 * FEW  # at-least-once: what was published or embedded may come once more
    assert (report["passes_again"], report["known_again"]) == (0, FEW)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_a_random_moment_of_the_real_command(tmp_path: Path, photos: Path, seed: int) -> None:
    arguments = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(tmp_path / "data"), "index", str(photos)]
    running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_thumbs(tmp_path / "data", random.Random(seed).randint(1, MANY // 2), running)
    running.kill()
    running.wait()
    thumbs = len(list((tmp_path / "data" / "blobs" / "thumbs").rglob("*.jpg")))
    assert thumbs < MANY, "it was done before it was killed"
    kindred(tmp_path / "data", "index", str(photos))
    assert_complete(tmp_path / "data", photos)


def test_the_owner_of_two_indexers_is_killed(tmp_path: Path, photos: Path) -> None:
    """The second is a client of the first; when the first dies, it takes over and ends its own half."""
    halves = [tmp_path / "a", tmp_path / "b"]
    for half in halves:
        half.mkdir()
    for number, photo in enumerate(sorted(photos.iterdir())):
        (halves[number % 2] / photo.name).symlink_to(photo)
    base = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(tmp_path / "data"), "index"]
    first = subprocess.Popen([*base, str(halves[0])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_thumbs(tmp_path / "data", 1, first)
    second = subprocess.Popen([*base, "--json", str(halves[1])], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_thumbs(tmp_path / "data", 3, first)
    first.kill()
    first.wait()
    stdout, stderr = second.communicate(timeout=280)
    assert second.returncode == 0, stderr.decode()
    assert json.loads(stdout)["failed"] == 0
    kindred(tmp_path / "data", "index", *map(str, halves))
    assert_complete(tmp_path / "data", photos)


def test_an_indexer_beside_a_server_is_killed(tmp_path: Path, photos: Path) -> None:
    base = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(tmp_path / "data")]
    server = subprocess.Popen([*base, "serve", "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (tmp_path / "data" / "owner.json").exists(), server)
        client = subprocess.Popen([*base, "index", str(photos)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_thumbs(tmp_path / "data", 3, client)
        client.kill()
        client.wait()
        kindred(tmp_path / "data", "index", str(photos))
        assert_complete(tmp_path / "data", photos)
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0


def wait_for_thumbs(data_dir: Path, count: int, process: "subprocess.Popen[bytes]") -> None:
    """Until the worker has finished some images."""
    wait_for(lambda: len(list((data_dir / "blobs" / "thumbs").rglob("*.jpg"))) >= count, process)


def wait_for(condition: Any, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the process ended before the moment that the test waits for"
        assert time.monotonic() < deadline, "nothing happened for two minutes"
        time.sleep(0.02)
