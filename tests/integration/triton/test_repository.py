"""Repositories that `kindred models repository` writes, as the real tritonserver reads them."""

import json
import subprocess
from pathlib import Path

import pytest
from support.commands import CommandLine, environment
from support.paths import MODELS
from support.triton_server import HOME, require_triton, triton_server

from kindred_kit.models import ModelSet
from kindred_kit.triton import config_pbtxt

# The bundled server has no tensorrt backend. This one in its place does the first thing that the real one does.
STAND_IN = """
import os
class TritonPythonModel:
    def initialize(self, args):
        open(os.path.join(args["model_repository"], args["model_version"], "model.plan")).close()
    def execute(self, requests):
        raise NotImplementedError
"""


@pytest.fixture
def backends(tmp_path: Path) -> Path:
    require_triton()
    folder = tmp_path / "backends"
    (folder / "tensorrt").mkdir(parents=True)
    (folder / "tensorrt" / "model.py").write_text(STAND_IN)
    (folder / "python").symlink_to(HOME / "backends" / "python")
    return folder


def test_tensorrt_configurations_lack_nothing_but_their_plan(tmp_path: Path, backends: Path) -> None:
    repository = tmp_path / "repository"
    models = ModelSet.load(MODELS)
    for model in models:
        (repository / model.name / "1").mkdir(parents=True)
        (repository / model.name / "config.pbtxt").write_text(config_pbtxt(model, "tensorrt"))
    wrong = config_pbtxt(models.get("lite_text"), "tensorrt").replace("lite_text", "wrong").replace("INT64", "INT65")
    (repository / "wrong" / "1").mkdir(parents=True)
    (repository / "wrong" / "config.pbtxt").write_text(wrong)
    log = tmp_path / "log"
    with triton_server(repository, log, [f"--backend-directory={backends}"]) as server:
        reasons = server.reasons()
        missing = {model.name for model in models if "No such file" in reasons[model.name]}
        assert missing == {model.name for model in models}, reasons
        assert all(f"{name}/1/model.plan" in reasons[name] for name in missing)
    assert "failed to read text proto from" in log.read_text()  # what a configuration with a mistake meets


def test_the_command_writes_what_the_server_serves(command_line: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "repository"
    written = command_line.json("models", "repository", "--target", "python", "--out", out)
    assert [model["name"] for model in written["models"]] == ["lite_image", "lite_text"]
    with triton_server(out, tmp_path / "log") as server:
        assert server.reasons() == {"lite_image": "", "lite_text": ""}
    again = command_line.json("models", "repository", "--target", "tensorrt", "--out", out)
    assert all(model["needs_plan"] for model in again["models"])
    plan = json.loads((out / "lite_text" / "plan.json").read_text())
    assert plan["shapes"]["max"]["input_ids"] == [64, 64]
    assert "tensorrt_plan" in (out / "lite_text" / "config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("profile", "said"),
    [("absent", "there is no profile 'absent'; there are clip, lite"), ("clip", "kindred models pull clip_image")],
)
def test_nothing_to_serve_is_an_error(command_line: CommandLine, tmp_path: Path, profile: str, said: str) -> None:
    settings = environment(KINDRED_MODEL_STORE_DIR=str(tmp_path / "store"))
    arguments = ("models", "repository", "--target", "python", "--out", tmp_path / "out", "--profile", profile)
    done = subprocess.run(command_line.command(*arguments), capture_output=True, text=True, env=settings, timeout=120)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
