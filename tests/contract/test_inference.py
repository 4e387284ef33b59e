"""Contract of the Inference port, on every adapter."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.fakes import FakeInference
from support.tiny_models import DOUBLE, double_folder
from support.triton_server import TritonServer, triton_server

from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.adapters.triton_inference import TritonInference
from kindred_kit.errors import InvalidArgument, ModelInvalid
from kindred_kit.models import ModelManifest
from kindred_kit.ports.inference import Inference
from kindred_kit.triton import write_model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A real tritonserver that has the model `double`."""
    folder = tmp_path_factory.mktemp("triton")
    model = ModelManifest.load(double_folder(folder / "models"))
    write_model(model, "python", folder / "repository")
    with triton_server(folder / "repository", folder / "log") as server:
        yield server


def in_process(folder: Path, request: pytest.FixtureRequest) -> Inference:
    return OnnxInference({DOUBLE: double_folder(folder) / "1" / "model.onnx"}, cores=2)


def on_triton(folder: Path, request: pytest.FixtureRequest) -> Inference:
    return TritonInference(request.getfixturevalue("server").url, {DOUBLE: ""})


ADAPTERS: dict[str, Callable[[Path, pytest.FixtureRequest], Inference]] = {
    "fake": lambda folder, request: FakeInference(),
    "onnx": in_process,
    "triton": on_triton,
}


@pytest.fixture(params=ADAPTERS)
async def inference(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Inference]:
    inference = ADAPTERS[request.param](tmp_path, request)
    yield inference
    await inference.aclose()


@pytest.mark.parametrize("rows", [1, 3])
async def test_a_batch_in_a_batch_out(inference: Inference, rows: int) -> None:
    x = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    outputs = await inference.infer("double", {"x": x})
    assert set(outputs) == {"y"}
    np.testing.assert_array_equal(outputs["y"], 2 * x)


async def test_readiness(inference: Inference) -> None:
    assert await inference.is_ready("double")
    assert not await inference.is_ready("absent")


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("absent", {"x": np.zeros((1, 2), np.float32)}),
        ("double", {"x": np.zeros((1, 3), np.float32)}),
        ("double", {"x": np.zeros((1, 2), np.float64)}),
        ("double", {"z": np.zeros((1, 2), np.float32)}),
        ("double", {}),
    ],
)
async def test_a_wrong_call_says_so(inference: Inference, model: str, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidArgument):
        await inference.infer(model, inputs)


async def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    inference = OnnxInference({"broken": tmp_path / "broken.onnx"})
    with pytest.raises(ModelInvalid, match=r"broken\.onnx"):
        await inference.infer("broken", {"x": np.zeros((1, 2), np.float32)})
    await inference.aclose()
