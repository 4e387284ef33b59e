"""`kindred relabel`: killed, stopped and resumed, beside a server whose searches go on."""

import io
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.commands import CommandLine, serving, wait_for
from support.in_process import index, opened, relabel, search
from support.photos import encoded, skimage_photo

from kindred_kit.errors import InvalidArgument
from kindred_standalone.datadir import DataDirectory

LONG = bool(os.environ.get("KINDRED_LONG"))
EACH = 40 if LONG else 6
SHOTS = ("chelsea.png", "astronaut.png", "coffee.png")
PHOTOS = EACH * len(SHOTS)
EMBEDDINGS = "SELECT image_id, view, space, vector FROM embeddings ORDER BY image_id"
SINGLE, TTA = frozenset({"single"}), frozenset({"tta"})
CATS = {"filter": {"labels": {"all": ["cat"]}}}


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same few scenes, saved again and again a little narrower: other bytes, and something to find on each."""
    folder = tmp_path_factory.mktemp("shots")
    for name in SHOTS:
        photo = Image.open(io.BytesIO(skimage_photo(name))).convert("RGB")
        for number in range(EACH):
            narrower = photo.crop((2 * number, 0, photo.width, photo.height))
            (folder / f"{name}-{number}.jpg").write_bytes(encoded(narrower, "JPEG", quality=85))
    return sorted(folder.iterdir())


def rows(command_line: CommandLine, query: str) -> list[Any]:
    path = DataDirectory(command_line.data_dir).catalogue
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def relabelled(command_line: CommandLine) -> int:
    return int(rows(command_line, "SELECT count(*) FROM label_runs WHERE asked")[0][0])


def sources(command_line: CommandLine) -> list[frozenset[str]]:
    """Of each image that has labels."""
    found: dict[str, set[str]] = {}
    for image_id, source in rows(command_line, "SELECT DISTINCT image_id, source FROM detections"):
        found.setdefault(image_id, set()).add(source)
    return [frozenset(of_image) for of_image in found.values()]


def sources_of(hits: Sequence[dict[str, Any]]) -> list[frozenset[str]]:
    return [frozenset(label["source"] for label in hit["labels"]) for hit in hits]


async def test_killed_half_way_and_run_again(command_line: CommandLine, shots: list[Path]) -> None:
    async with opened(command_line.data_dir) as session:
        assert (await index(session, shots)).indexed == PHOTOS
    embeddings = rows(command_line, EMBEDDINGS)
    running = command_line.start("relabel", "--tta")
    wait_for(lambda: relabelled(command_line) >= 3, running)
    running.kill()
    running.communicate()
    before = relabelled(command_line)
    assert 3 <= before < PHOTOS, "it was done before it was killed"
    half = sources(command_line)
    assert (half.count(TTA), half.count(SINGLE)) == (before, PHOTOS - before)  # nothing is without labels, none mixed

    again = command_line.json("relabel", "--tta")
    assert (again["run"], again["labelled"], again["total"], again["failed"]) == (
        "lite_image/1 flip", PHOTOS, PHOTOS, 0,
    )  # fmt: skip
    assert again["before"] >= before  # what had its labels was not looked at again
    assert set(sources(command_line)) == {TTA}
    assert rows(command_line, EMBEDDINGS) == embeddings
    async with opened(command_line.data_dir) as session:
        assert sources_of(await search(session.node, **CATS)) == [TTA] * EACH
        steps = await relabel(session.node, flip=True)
        assert [(step.done, step.total, step.finished) for step in steps] == [
            (PHOTOS, PHOTOS, False), (PHOTOS, PHOTOS, True),
        ]  # fmt: skip


async def test_searches_see_old_labels_or_new_ones(
    command_line: CommandLine, shots: list[Path], tmp_path: Path
) -> None:
    async with opened(command_line.data_dir) as session:
        await index(session, shots)
    seen: list[frozenset[str]] = []
    with (
        contextmanager(serving)(command_line, tmp_path / "server.log") as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):

        def look() -> None:
            hits = http.post("/v1/search", json={**CATS, "limit": 100}).raise_for_status().json()["results"]
            assert len(hits) == EACH  # a cat before is a cat after, and never nothing in between
            seen.extend(sources_of(hits))

        running = command_line.start("relabel", "--tta")
        wait_for(lambda: look() or relabelled(command_line) >= 3, running)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate()
        assert running.returncode == 130, stderr
        assert "run the same command again to go on from here" in stderr
        assert relabelled(command_line) < PHOTOS, "the server went on without its client"

        running = command_line.start("relabel", "--tta", "--json")
        while running.poll() is None:
            look()
        stdout, stderr = running.communicate()
        assert running.returncode == 0, stderr
        assert f'"labelled":{PHOTOS}' in stdout
        look()
    assert set(seen) == {SINGLE, TTA}  # never mixed on one image
    assert seen[-EACH:] == [TTA] * EACH


async def test_an_image_that_cannot_be_read_keeps_its_labels(command_line: CommandLine, tmp_path: Path) -> None:
    photos = [tmp_path / name for name in SHOTS[:2]]
    for photo in photos:
        photo.write_bytes(skimage_photo(photo.name))
    async with opened(command_line.data_dir) as session:
        await index(session, photos)
        photos[0].write_bytes(b"something else")
        [*_, last] = steps = await relabel(session.node, flip=True)
        assert (last.done, last.total, last.failed, last.finished) == (1, 2, 1, True)
        assert [failure.code for step in steps for failure in step.failures] == ["image_changed"]
        assert sorted(sources(command_line), key=str) == [SINGLE, TTA]
        photos[0].write_bytes(skimage_photo(photos[0].name))
        assert (await relabel(session.node, flip=True))[-1].done == 2
        assert (await relabel(session.node, scales=[0.75], since_ms=2**45))[-1].total == 0
        assert (await relabel(session.node, scales=[0.75], since_ms=1))[-1].run == "lite_image/1 x0.75"
        for refused in ({"models": ["absent"]}, {"scales": [9.0]}):
            with pytest.raises(InvalidArgument):
                await relabel(session.node, **refused)  # type: ignore[arg-type]
    assert "--since" in command_line.run("relabel", "--since", "yesterday", expect=2).stderr
