"""Contract of the Inference port, on every adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.fakes import FakeInference

from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.errors import InvalidArgument, ModelInvalid
from kindred_kit.ports.inference import Inference


def onnx_double(folder: Path) -> Inference:
    """The model `double` as a file: x float32 [n, 2] -> y = x + x."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "double.onnx")
    return OnnxInference({"double": folder / "double.onnx"}, cores=2)


ADAPTERS: dict[str, Callable[[Path], Inference]] = {"fake": lambda folder: FakeInference(), "onnx": onnx_double}


@pytest.fixture(params=ADAPTERS)
async def inference(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Inference]:
    inference = ADAPTERS[request.param](tmp_path)
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
