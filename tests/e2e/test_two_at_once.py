"""Two `kindred index` on one gallery: the second is a client of the first, and takes over when that one ends."""

import json
import signal
from pathlib import Path

from support.commands import CommandLine, wait_for
from support.photos import noise_jpeg

PHOTOS = 40


def folders(root: Path, count: int, each: int) -> list[Path]:
    made = []
    for folder in range(count):
        path = root / f"folder {folder}"
        path.mkdir()
        for number in range(each):
            (path / f"{number}.jpg").write_bytes(noise_jpeg(folder * each + number))
        made.append(path)
    return made


def test_both_finish_and_every_image_is_there_once(command_line: CommandLine, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    for number in range(PHOTOS):
        (small if number < 8 else large).joinpath(f"{number}.jpg").write_bytes(noise_jpeg(number))
    first = command_line.start("index", "--json", str(small))
    wait_for(lambda: (command_line.data_dir / "owner.json").exists(), first)
    second = command_line.start("index", "--json", str(large))
    summaries = []
    for process in (first, second):
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stderr
        summaries.append(json.loads(stdout))
    assert [summary["failed"] for summary in summaries] == [0, 0]
    assert [summary["indexed"] for summary in summaries] == [8, PHOTOS - 8]
    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["index_rows"]) == (PHOTOS, PHOTOS, PHOTOS)


def test_the_same_folder_twice_at_once(command_line: CommandLine, tmp_path: Path) -> None:
    [folder] = folders(tmp_path, 1, 16)
    both = [command_line.start("index", "--json", str(folder)) for _ in range(2)]
    summaries = []
    for process in both:
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stderr
        summaries.append(json.loads(stdout))
    assert all(summary["indexed"] + summary["known"] == 16 for summary in summaries)
    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["index_rows"]) == (16, 16, 16)


def test_ctrl_c_ends_cleanly_and_a_second_run_goes_on(command_line: CommandLine, tmp_path: Path) -> None:
    [folder] = folders(tmp_path, 1, 60)
    running = command_line.start("index", str(folder))
    thumbs = command_line.data_dir / "blobs" / "thumbs"
    wait_for(lambda: sum(1 for _ in thumbs.rglob("*.jpg")) >= 3, running)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 130, stderr
    assert "run the same command again to go on from here" in stderr
    assert "Traceback" not in stderr
    summary = command_line.json("index", folder)
    assert summary["indexed"] + summary["known"] == 60
    assert summary["failed"] == 0
    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["index_rows"]) == (60, 60, 60)
