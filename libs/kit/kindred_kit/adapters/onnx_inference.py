"""Inference in this process by ONNX Runtime on the CPU."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from kindred_kit.cores import available_cores
from kindred_kit.errors import InvalidArgument, ModelInvalid
from kindred_kit.ports.inference import Tensors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class OnnxInference:
    """Runs model files on `cores` threads: as many requests at once, each on one thread.

    One thread a request beats all threads on one request for the small models that a CPU serves, and it keeps an
    embedding independent of the load.
    A model is loaded at its first use (the text tower of a gallery that is only indexed never is).
    """

    def __init__(self, models: Mapping[str, Path], *, cores: int | None = None) -> None:
        """`models`: name -> ONNX file. `cores`: default all that this process may use."""
        self._paths = dict(models)
        self._threads = ThreadPoolExecutor(cores or available_cores(), thread_name_prefix="onnx")
        self._sessions: dict[str, asyncio.Future[InferenceSession]] = {}

    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Inputs [n, …] -> outputs [n, …]. Raises InvalidArgument for an unknown model or a wrong shape or dtype."""
        session = await self._session(model_name)
        return await asyncio.get_running_loop().run_in_executor(self._threads, _run, session, model_name, inputs)

    async def is_ready(self, model_name: str) -> bool:
        return model_name in self._paths and self._paths[model_name].is_file()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._sessions.clear()

    async def _session(self, model_name: str) -> "InferenceSession":
        if model_name not in self._paths:
            raise InvalidArgument(f"no model {model_name!r}; there are {', '.join(self._paths)}")
        if model_name not in self._sessions:
            loop = asyncio.get_running_loop()
            self._sessions[model_name] = loop.run_in_executor(self._threads, _load, self._paths[model_name])
        try:
            return await asyncio.shield(self._sessions[model_name])
        except ModelInvalid:
            self._sessions.pop(model_name, None)
            raise


def _load(path: Path) -> "InferenceSession":
    import onnxruntime  # 0.2 s: not before a model is used

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a dozen exception types of its own, none public
        raise ModelInvalid(f"{path} can't be loaded: {error}") from error


def _run(session: "InferenceSession", model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, dict(inputs))
    except Exception as error:
        shapes = ", ".join(f"{name} {value.dtype} {list(value.shape)}" for name, value in inputs.items())
        raise InvalidArgument(f"model {model_name} does not take {shapes}: {error}") from error
    return dict(zip(names, values, strict=True))
