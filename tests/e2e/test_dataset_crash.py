"""kill -9 at every stage of a data set, then the same command again: the same data set, bit by bit.

`make test` kills one build at stage after stage; `make test-crash` (KINDRED_LONG=1) takes ten seeds a boundary, too.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.test_crash import child as index_child
from support.photos import noise_jpeg

LONG = bool(os.environ.get("KINDRED_LONG"))
GALLERY, FAILURES, HOLDOUT = 40, 4, 70
CHILD = Path(__file__).with_name("dataset_crash_child.py")
# How often each boundary is passed at the least; the fuse is set within it. 74 photos are embedded 32 at a time.
OCCURRENCES = {"read": FAILURES + HOLDOUT, "embed": 2, "select": 1, "pack": 1, "finish": 1}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    for name, count, start in (("failures", FAILURES, 1_000), ("holdout", HOLDOUT, 2_000)):
        (folder / name).mkdir()
        for seed in range(start, start + count):
            (folder / name / f"{seed}.jpg").write_bytes(noise_jpeg(seed))
    return folder


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "photos").mkdir()
    for seed in range(GALLERY):
        (folder / "photos" / f"{seed:04d}.jpg").write_bytes(noise_jpeg(seed))
    done = index_child(folder / "data", folder / "photos", "none", 1)
    assert done.returncode == 0, done.stderr
    return folder / "data"


@pytest.fixture(scope="module")
def whole(gallery: Path, given: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a build makes that nothing interrupts."""
    data = shutil.copytree(gallery, tmp_path_factory.mktemp("whole") / "data")
    done = child(data, given, "none", 1)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["images"] == 20
    return report


def child(data_dir: Path, given: Path, boundary: str, count: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(CHILD), str(data_dir), str(given), boundary, str(count)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def killed(data: Path, given: Path, boundary: str, seed: int) -> None:
    count = random.Random(f"{boundary} {seed}").randint(1, OCCURRENCES[boundary[:-1]])
    died = child(data, given, boundary, count)
    assert died.returncode == -signal.SIGKILL, f"the fuse did not burn: {died.stdout} {died.stderr}"


def test_killed_at_stage_after_stage(tmp_path: Path, gallery: Path, given: Path, whole: dict[str, Any]) -> None:
    data = shutil.copytree(gallery, tmp_path / "data")
    for boundary in ("embed+", "select-", "select+", "pack-"):
        killed(data, given, boundary, 0)
    again = child(data, given, "none", 1)
    assert again.returncode == 0, again.stderr
    # the last run embeds nothing, and is the first that ends
    assert json.loads(again.stdout) == {**whole, "passes": 0}
    assert not list((data / "work").iterdir())


@pytest.mark.parametrize("seed", range(10 if LONG else 0))
@pytest.mark.parametrize("boundary", [f"{name}{moment}" for name in OCCURRENCES for moment in "-+"])
def test_killed_at_a_boundary_and_run_again(
    tmp_path: Path, gallery: Path, given: Path, whole: dict[str, Any], boundary: str, seed: int
) -> None:
    data = shutil.copytree(gallery, tmp_path / "data")
    killed(data, given, boundary, seed)
    again = child(data, given, "none", 1)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["datasets"] == (2 if boundary == "finish+" else 1)  # one that was done is made anew
    assert (report["manifest"], report["archive"]) == (whole["manifest"], whole["archive"])
    assert not list((data / "work").iterdir())
