"""`kindred ingest` on the real gallery: each kind of source, a run that is killed, a host in a bad mood."""

import json
import signal
from pathlib import Path

from support.commands import CommandLine, wait_for
from support.image_host import image_host
from support.photos import noise_jpeg
from unit.standalone.test_sources import write_tar


def test_a_table_a_tar_and_a_bucket(command_line: CommandLine, tmp_path: Path) -> None:
    with image_host() as host:
        host.files = {f"/{n}.jpg": noise_jpeg(n) for n in range(4)} | {"/broken.jpg": b"no image"}
        host.moods = {"/1.jpg": [503]}
        rows = [f"{host.url}/{name}.jpg,a picture,by,Ann" for name in ("0", "1", "0", "broken", "absent")]
        (tmp_path / "t.csv").write_text("\n".join(["url,caption,license,creator", *rows]))
        private = command_line.json("ingest", tmp_path / "t.csv", expect=1)
        assert private["failed_by_reason"] == {"image_download_failed": 5}
        first = command_line.json("ingest", tmp_path / "t.csv", "--allow-private", "--source", "test")
        counts = {name: first[name] for name in ("total", "indexed", "known", "duplicates", "failed")}
        assert counts == {"total": 5, "indexed": 2, "known": 0, "duplicates": 1, "failed": 2}
        assert first["failed_by_reason"] == {"image_unsupported_format": 1, "image_download_failed": 1}
        asked = host.asked.copy()
        second = command_line.json("ingest", tmp_path / "t.csv", "--allow-private", "--source", "test")
        assert (second["indexed"], second["known"] + second["duplicates"], second["failed"]) == (0, 3, 2)
        assert {path for path in host.asked if host.asked[path] > asked[path]} == {"/broken.jpg", "/absent.jpg"}

    tar = write_tar(tmp_path / "s.tar", ("1.jpg", noise_jpeg(11)), ("1.json", b'{"license": "cc0", "model": "sdxl"}'))
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "2.jpg").write_bytes(noise_jpeg(12))
    both = command_line.json("ingest", tar, f"file://{tmp_path}/objects")
    assert (both["indexed"], both["failed"]) == (2, 0)
    [hit] = command_line.json("search", "--model", "sdxl")["results"]
    assert (hit["rights"]["license"], hit["generation"]["model"]) == ("cc0", "sdxl")
    shown = {entry["file_name"]: entry for entry in command_line.json("search", "picture")["results"]}
    assert (shown["0.jpg"]["caption"], shown["0.jpg"]["rights"]["creator"]) == ("a picture", "Ann")
    stored = [path for path in (command_line.data_dir / "blobs" / "images").rglob("*") if path.is_file()]
    assert len(stored) == 4, "the bytes lie in the gallery"


def test_a_killed_run_goes_on(command_line: CommandLine, tmp_path: Path) -> None:
    count = 60
    tar = write_tar(tmp_path / "s.tar", *((f"{n}.jpg", noise_jpeg(n)) for n in range(count)))
    process = command_line.start("ingest", tar)
    blobs = command_line.data_dir / "blobs" / "images"
    wait_for(lambda: blobs.exists() and sum(1 for _ in blobs.rglob("*")) > 20, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    second = command_line.json("ingest", tar)
    assert (second["total"], second["indexed"] + second["known"], second["duplicates"]) == (count, count, 0)
    status = command_line.json("status")
    assert (status["images"], status["indexed"], status["pending"], status["index_rows"]) == (count, count, 0, count)
    third = command_line.run("ingest", tar)
    assert f"0 indexed, {count} already known, 0 failed" in third.stdout
    assert json.loads(command_line.run("ingest", tar, "--again", "--json").stdout)["known"] == count
