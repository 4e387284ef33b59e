"""One real tritonserver with the shipped models, for tests that leave it as it is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.commands import CommandLine
from support.inference import serving_lite
from support.paths import MODELS
from support.triton_server import TritonServer

from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.adapters.triton_inference import TritonInference
from kindred_kit.models import ModelSet


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with serving_lite(tmp_path_factory.mktemp("lite")) as server:
        yield server


@pytest.fixture(scope="session")
def models() -> ModelSet:
    return ModelSet({model.name: model for model in ModelSet.load(MODELS) if model.profile == "lite"})


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """A gallery of the test's own, still empty."""
    return CommandLine(tmp_path / "gallery")


@pytest.fixture
async def triton(server: TritonServer, models: ModelSet) -> AsyncIterator[TritonInference]:
    inference = TritonInference(server.url, {model.name: model.space for model in models})
    yield inference
    await inference.aclose()


@pytest.fixture
async def in_process(models: ModelSet) -> AsyncIterator[OnnxInference]:
    inference = OnnxInference({model.name: model.onnx_path for model in models})
    yield inference
    await inference.aclose()
