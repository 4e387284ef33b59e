"""`--inference=triton`: the same tests, with every model on one real tritonserver (`make test-triton`)."""

import os
from collections.abc import Iterator

import pytest
from support import inference


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--inference", choices=("onnx", "triton"), default="onnx", help="what the models run on")


@pytest.fixture(scope="session", autouse=True)
def _inference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if request.config.getoption("--inference") == "onnx":
        yield
        return
    with inference.serving_all(tmp_path_factory.mktemp("triton")) as server:
        inference.SETTINGS.update(inference.triton_settings(server))
        os.environ.update(inference.SETTINGS)
        yield
    for name in inference.SETTINGS:
        del os.environ[name]
    inference.SETTINGS.clear()
