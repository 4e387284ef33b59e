"""A whole gallery on Triton: it works, it outlives the server's death, and it refuses another server's models."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.commands import CommandLine, Server, environment, serving
from support.in_process import index, opened, search
from support.inference import serving_lite, triton_settings
from support.paths import MODELS
from support.photos import encoded, noise_jpeg, skimage_photo
from support.triton_server import TritonServer, triton_server

from kindred.events.v1 import events_pb2 as events
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import Unavailable
from kindred_kit.models import ModelSet
from kindred_kit.triton import write_model


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server that tests may kill."""
    with serving_lite(tmp_path_factory.mktemp("mortal")) as server:
        yield server


@pytest.fixture
def gallery(mortal: TritonServer, command_line: CommandLine, tmp_path: Path) -> Iterator[Server]:
    """`kindred serve` whose models are on the server."""
    yield from serving(command_line, tmp_path / "server.log", **triton_settings(mortal))


@pytest.fixture
def http(gallery: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gallery.url, timeout=60) as client:
        yield client


def post(http: httpx.Client, name: str, data: bytes, wait_s: int) -> Any:
    answer = http.post(f"/v1/images?wait={wait_s}", files={"file": (name, data)})
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()


def until(condition: Callable[[], bool]) -> float:
    """Seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < 120, "nothing happened for two minutes"
        time.sleep(0.1)
    return time.monotonic() - started


def test_a_server_that_is_killed_and_comes_back(
    http: httpx.Client, mortal: TritonServer, gallery: Server, record_property: Callable[[str, object], None]
) -> None:
    for name in ("chelsea.png", "coffee.png"):
        assert post(http, name, skimage_photo(name), 50)["state"] == "indexed"
    cat = http.get("/v1/search", params={"q": "a cat", "label": "cat"}).raise_for_status().json()["results"]
    assert [hit["file_name"] for hit in cat] == ["chelsea.png"]
    found = http.post("/v1/detect", files={"file": skimage_photo("chelsea.png")}).json()
    assert found["labels"][0]["class"] == "cat"
    assert http.get("/readyz").status_code == 200

    mortal.kill()
    for answer in (
        http.get("/v1/search", params={"q": "a rocket"}),
        http.post("/v1/search", files={"file": skimage_photo("chelsea.png")}),
        http.post("/v1/detect", files={"file": skimage_photo("chelsea.png")}),
        http.get("/readyz"),
    ):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert (answer.json()["code"], mortal.url in answer.text) == ("unavailable", False)
    assert http.get("/readyz").json()["parts"] == {
        "embedder": "down", "detector": "down", "search": "up", "datasets": "up",
    }  # fmt: skip
    late = [post(http, f"{n}.jpg", noise_jpeg(n), 0)["id"] for n in range(6)]
    time.sleep(1)  # some attempts fail meanwhile
    images = http.get("/v1/status").json()["images"]
    assert (images["indexed"], images["pending"], images["failed"]) == (2, 6, 0)

    mortal.start()
    record_property("recovered_s", until(lambda: http.get("/readyz").status_code == 200))
    record_property("indexed_s", until(lambda: http.get("/v1/status").json()["images"]["pending"] == 0))
    images = http.get("/v1/status").json()["images"]
    assert (images["indexed"], images["failed"]) == (8, 0)
    assert {http.get(f"/v1/images/{image_id}").json()["state"] for image_id in late} == {"indexed"}
    assert http.get("/v1/search", params={"q": "a rocket"}).status_code == 200
    assert "Traceback" not in gallery.log.read_text()


async def test_no_server_at_the_start_says_where_it_was_looked_for(command_line: CommandLine, tmp_path: Path) -> None:
    process = command_line.start("serve", "--port", "0", KINDRED_INFERENCE="triton", KINDRED_TRITON_URL="127.0.0.1:9")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no Triton server answers at 127.0.0.1:9 (KINDRED_TRITON_URL)" in said
    assert "Traceback" not in said
    with pytest.raises(Unavailable):
        async with opened(command_line.data_dir, inference="triton", triton_url="127.0.0.1:9"):
            pass


def repository(folder: Path, space: str = "") -> Path:
    """The shipped models in a repository, as if they embedded into another space where one is given."""
    for model in ModelSet.load(MODELS):
        if model.profile != "lite":
            continue
        written = write_model(model, "python", folder)
        if space:
            config = written.folder / "config.pbtxt"
            config.write_text(config.read_text().replace(model.space, space))
    return folder


def test_a_server_with_models_of_another_space_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    own = next(model.space for model in ModelSet.load(MODELS) if model.profile == "lite")
    with triton_server(repository(tmp_path / "repository", "other-2"), tmp_path / "log") as server:
        settings = {**triton_settings(server), "KINDRED_MODELS_DIR": str(MODELS)}
        service = [sys.executable, "-m", "kindred_embedder"]
        for command in (command_line.command("serve", "--port", "0"), service):
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment(**settings), cwd=tmp_path, timeout=120
            )
            assert done.returncode == 1
            assert "'other-2'" in done.stderr
            assert f"'{own}'" in done.stderr
            assert "Traceback" not in done.stderr


NOT_FINITE_IN_THE_DARK = """
_run_graph = TritonPythonModel._run
def _run(self, values):
    outputs = _run_graph(self, values)
    if len(values) == 2 and values[0].ndim == 4:
        dark = values[0].mean(axis=(1, 2, 3)) < 5
        outputs[0] = np.where(dark[:, None], np.float32("nan"), outputs[0])
    return outputs
TritonPythonModel._run = _run
"""


async def test_what_is_not_finite_is_dead_lettered_and_never_found(command_line: CommandLine, tmp_path: Path) -> None:
    from PIL import Image

    folder = repository(tmp_path / "repository")
    with (folder / "lite_image" / "1" / "model.py").open("a") as file:
        file.write(NOT_FINITE_IN_THE_DARK)
    (tmp_path / "cat.png").write_bytes(skimage_photo("chelsea.png"))
    (tmp_path / "night.png").write_bytes(encoded(Image.new("RGB", (300, 200)), "PNG"))
    with triton_server(folder, tmp_path / "log") as server:
        async with opened(command_line.data_dir, inference="triton", triton_url=server.url) as session:
            summary = await index(session, [tmp_path / "cat.png", tmp_path / "night.png"])
            assert summary.indexed == 1
            hits = await search(session.node, query=[{"text": "a dark night"}])
            assert [hit["file_name"] for hit in hits] == ["cat.png"]
            status = (await session.node.http.get("/v1/status")).json()
            assert (status["images"]["failed"], status["index"]["rows"]) == (1, 1)
    bus = SqliteBus(command_line.data_dir / "bus.db")
    dead = await (await bus.consumer("images.v1.dlq", "test")).poll(10, 5)
    letters = [events.DeadLetter.FromString(message.payload) for message in dead]
    assert [(letter.code, letter.attempts) for letter in letters] == [("embedding_not_finite", 1)]
    await bus.aclose()
