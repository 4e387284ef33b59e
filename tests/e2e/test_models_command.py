"""`kindred models` as a person uses it: pull, import, list and verify, and be told what is missing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import KINDRED, environment, write_photos
from support.publisher import Publisher, hub_path, publishing
from support.pulled_models import model_folder
from support.tiny_clip import tiny_clip
from support.yolo_heads import empty_heads, publisher_file

from kindred_kit.models import ModelSet


@dataclass
class Machine:
    """A model repository of small models, a store that is empty at first, and a mirror that has the files."""

    root: Path
    files: dict[str, Path]
    publisher: Publisher

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def settings(self) -> dict[str, str]:
        return environment(
            KINDRED_MODELS_DIR=str(self.root / "models"),
            KINDRED_MODEL_STORE_DIR=str(self.store),
            KINDRED_MODEL_MIRROR=self.publisher.url,
            KINDRED_DATA_DIR=str(self.root / "gallery"),
        )

    def start(self, *arguments: str | Path, **settings: str) -> "subprocess.Popen[str]":
        command = [*KINDRED, *(str(argument) for argument in arguments)]
        env = {**self.settings, **settings}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    def kindred(self, *arguments: str | Path, expect: int = 0, **settings: str) -> tuple[str, str]:
        process = self.start(*arguments, **settings)
        out, err = process.communicate(timeout=240)
        assert process.returncode == expect, f"{arguments} -> {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def states(self) -> dict[str, str]:
        listed = json.loads(self.kindred("models", "list", "--json")[0])["models"]
        return {entry["name"]: entry["state"] for entry in listed}

    def stored(self) -> list[Path]:
        return [path for path in self.store.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    root = tmp_path_factory.mktemp("small")
    repository, files = tiny_clip(root)
    yolo = root / "files" / "yolo.onnx"
    yolo.write_bytes(publisher_file([empty_heads(np.random.default_rng(0))]).SerializeToString())
    model_folder(repository, "yolov7", yolo)
    return root, {**files, "yolov7": yolo}


@pytest.fixture
def machine(small_models: tuple[Path, dict[str, Path]], tmp_path: Path) -> Iterator[Machine]:
    root, files = small_models
    (tmp_path / "models").symlink_to(root / "models")
    offered: dict[str, bytes] = {}
    for model in ModelSet.load(root / "models", store=tmp_path / "store"):
        assert model.source is not None
        path = hub_path(model.source.repository, model.source.revision, model.source.path)
        offered[path] = files[model.name].read_bytes()
    with publishing(Publisher(offered)) as publisher:
        yield Machine(tmp_path, files, publisher)


def test_a_profile_is_pulled_listed_and_verified(machine: Machine) -> None:
    assert set(machine.states().values()) == {"not pulled"}
    _, said = machine.kindred("models", "pull", "clip", expect=1)
    assert "yolov7 (GPL-3.0)" in said
    assert "--accept-license" in said
    assert machine.publisher.asked == []
    assert not machine.store.exists()

    out, _ = machine.kindred("models", "pull", "clip", "--accept-license")
    assert [line.partition(":")[0] for line in out.splitlines()] == ["clip_image", "clip_text", "yolov7"]
    assert set(machine.states().values()) == {"ready"}
    table, _ = machine.kindred("models", "list")
    for word in ("clip-vit-base-patch32-openai-1", "GPL-3.0", "ready", "profile", "licence"):
        assert word in table
    machine.kindred("models", "verify")
    # what is there is not asked for again, and needs no licence accepted again
    machine.kindred("models", "pull", "clip")
    assert len(machine.publisher.asked) == 3

    [graph] = [path for path in machine.stored() if path.name == "model.onnx" and "clip_text" in path.parts]
    damaged = bytearray(graph.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    graph.write_bytes(damaged)
    out, _ = machine.kindred("models", "verify", expect=1)
    assert "clip_text" in out
    assert f"{graph} is not the graph that was prepared; remove it, and  kindred models pull clip_text" in out
    graph.unlink()
    machine.kindred("models", "pull", "clip_text")
    machine.kindred("models", "verify")


def test_verify_tells_what_is_not_there_and_does_not_mind(machine: Machine) -> None:
    out, _ = machine.kindred("models", "verify")
    assert out.splitlines() == ["clip_image: not pulled", "clip_text: not pulled", "yolov7: not pulled"]


def test_a_damaged_graph_is_made_again_from_the_file(machine: Machine) -> None:
    machine.kindred("models", "pull", "clip-image")
    [graph] = [path for path in machine.stored() if path.name == "model.onnx"]
    before = graph.read_bytes()
    graph.unlink()
    assert machine.states()["clip_image"] == "pulled"
    machine.kindred("models", "pull", "clip_image")
    assert graph.read_bytes() == before
    assert len(machine.publisher.asked) == 1


def test_of_a_wrong_file_nothing_is_left(machine: Machine, tmp_path: Path) -> None:
    path = next(path for path in machine.publisher.files if "vision" in path)
    right = machine.publisher.files[path]
    machine.publisher.files[path] = right[:-1] + bytes([right[-1] ^ 1])
    _, said = machine.kindred("models", "pull", "clip_image", expect=1)
    assert "SHA-256" in said
    assert machine.stored() == []
    wrong = tmp_path / "mine.onnx"
    wrong.write_bytes(machine.publisher.files[path])
    _, said = machine.kindred("models", "import", wrong, expect=1)
    assert "clip_image of vision_model.onnx" in said
    assert machine.stored() == []
    assert machine.states()["clip_image"] == "not pulled"


def test_files_are_imported_under_any_name(machine: Machine, tmp_path: Path) -> None:
    named = tmp_path / "from a stick.bin"
    named.write_bytes(machine.files["clip_text"].read_bytes())
    out, _ = machine.kindred("models", "import", named, "--json")
    [entry] = json.loads(out)["models"]
    assert (entry["name"], entry["state"]) == ("clip_text", "ready")
    assert Path(entry["onnx_path"]).is_file()
    _, said = machine.kindred("models", "import", machine.files["yolov7"], expect=1)
    assert "GPL-3.0" in said
    assert machine.states() == {"clip_image": "not pulled", "clip_text": "ready", "yolov7": "not pulled"}
    machine.kindred("models", "import", machine.files["yolov7"], "--accept-license")
    assert machine.states()["yolov7"] == "ready"
    _, said = machine.kindred("models", "import", tmp_path / "absent.onnx", expect=1)
    assert "absent.onnx" in said
    for odd in ("/dev/zero", tmp_path):
        assert "is no file" in machine.kindred("models", "import", odd, expect=1)[1]
    assert machine.publisher.asked == []


def test_a_stopped_pull_goes_on(machine: Machine) -> None:
    machine.publisher.holds = threading.Event()
    process = machine.start("models", "pull", "clip_image")
    deadline = time.monotonic() + 60
    while not any(path.suffix == ".part" and path.stat().st_size for path in machine.stored()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in said
    machine.publisher.holds.set()
    machine.publisher.asked.clear()
    machine.kindred("models", "pull", "clip_image")
    [(_, span)] = machine.publisher.asked
    assert span.startswith("bytes=")
    assert machine.states()["clip_image"] == "ready"


def test_two_pulls_at_once(machine: Machine) -> None:
    both = [machine.start("models", "pull", "clip_image", "clip_text", "--json") for _ in range(2)]
    answers: list[Any] = []
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    assert answers[0] == answers[1]
    assert len(machine.publisher.asked) == 2
    machine.kindred("models", "verify")


def test_a_missing_model_is_named_with_the_command_that_gets_it(machine: Machine, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", ["chelsea.png"])
    _, said = machine.kindred("index", photos, expect=1, KINDRED_PROFILE="clip")
    assert "kindred models pull clip_image clip_text yolov7 --accept-license" in said
    machine.kindred("models", "pull", "clip_image", "clip_text")
    _, said = machine.kindred("index", photos, expect=1, KINDRED_PROFILE="clip")
    assert "kindred models pull yolov7 --accept-license" in said
    machine.kindred("models", "pull", "yolov7", "--accept-license")
    out, _ = machine.kindred("index", photos, KINDRED_PROFILE="clip")
    assert "1 indexed" in out


@pytest.mark.parametrize("name", ["nobody", "../../etc", "\x1b[31mred"])
def test_names_that_nobody_has(machine: Machine, name: str) -> None:
    _, said = machine.kindred("models", "pull", name, expect=2)
    assert "no model or profile" in said
    assert "\x1b[31mred" not in said


def test_nothing_that_serves_imports_onnx() -> None:
    script = (
        "import sys, kindred_standalone.compose, kindred_standalone.detecting, kindred_kit.process\n"
        "from kindred_standalone.settings import StandaloneSettings\n"
        "list(StandaloneSettings().load_models())\n"
        "print(sorted({'onnx', 'onnxruntime', 'ftfy'} & set(sys.modules)))\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KINDRED_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environ)
    assert done.stdout.strip() == "[]", done.stderr
