"""Inference by Triton Inference Server over gRPC."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from numpy.typing import NDArray

from kindred_kit.adapters.triton_shared_memory import SharedMemory, is_local, worth_sharing
from kindred_kit.adapters.triton_spaces import Spaces, status_of, triton_error
from kindred_kit.adapters.triton_statistics import Statistics
from kindred_kit.errors import DeadlineExceeded, InvalidArgument, KindredError, Unavailable
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.ports.inference import Tensors
from kindred_kit.telemetry import FALLBACKS, get_logger

if TYPE_CHECKING:
    from tritonclient.grpc import InferInput
    from tritonclient.grpc.aio import InferenceServerClient

_ATTEMPTS = 3
_BACKOFF_S = 0.05
_PROBE_S = 1.0
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # a second's back-off at most: a server that comes back is used again at once
    ("grpc.max_reconnect_backoff_ms", 1000),
]


@dataclass(frozen=True)
class TritonLimits:
    """`deadline_s` of a call with its retries; `in_flight` calls at once, the next ones wait within their deadline."""

    deadline_s: float = 10.0
    in_flight: int = 64
    statistics_interval_s: float = 5.0
    shared_memory: bool = True


class TritonInference:
    """Asks the models of one Triton server; made without a connection, which the first call opens.

    Retries on UNAVAILABLE alone. What the server can't do now (down, model not loaded, queue full) is Unavailable, so
    that a worker holds its offset; what no server would do (a wrong shape) is InvalidArgument.
    """

    def __init__(self, url: str, spaces: Mapping[str, str], limits: TritonLimits | None = None) -> None:
        """`url`: host:port. `spaces`: model that may be asked -> its space, empty where it has none."""
        self._url = url
        self._spaces = Spaces(url, spaces)
        self._limits = limits or TritonLimits()
        self._slots = asyncio.Semaphore(self._limits.in_flight)
        self._statistics = Statistics()
        self._tasks = BackgroundTasks("triton")
        self._opened: InferenceServerClient | None = None
        self._shared: SharedMemory | None = None
        self._log = get_logger("triton")

    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Inputs [n, …] -> outputs [n, …]. Raises InvalidArgument, Unavailable, DeadlineExceeded."""
        if model_name not in self._spaces.expected:
            raise InvalidArgument(f"no model {model_name!r}; there are {', '.join(self._spaces.expected)}")
        try:
            async with asyncio.timeout(self._limits.deadline_s), self._slots:
                return await self._infer(model_name, inputs)
        except TimeoutError:
            raise DeadlineExceeded(f"model {model_name} did not answer in {self._limits.deadline_s:g} s") from None

    async def is_ready(self, model_name: str) -> bool:
        """Whether the server has loaded the model, and it is the one that this process expects."""
        if model_name not in self._spaces.expected:
            return False
        try:
            async with asyncio.timeout(_PROBE_S):
                self._spaces.doubt(model_name)
                await self._spaces.trust(self._client(), model_name)
                return bool(await self._client().is_model_ready(model_name))
        except (KindredError, TimeoutError, triton_error()):
            return False

    async def check(self) -> set[str]:
        """At start: names of the models in the server's repository, loaded or not yet.

        Raises SpaceMismatch where the server embeds into another space, Unavailable where none answers.
        """
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                index = await self._client().get_model_repository_index()
                for name in self._spaces.expected:
                    await self._spaces.compare(self._client(), name)
                return {model.name for model in index.models}
        except (triton_error(), TimeoutError) as error:
            raise Unavailable(f"no Triton server answers at {self._url} (KINDRED_TRITON_URL)") from error

    async def aclose(self) -> None:
        await self._tasks.aclose()
        if self._opened is None:
            return
        if self._shared is not None:
            await self._shared.aclose(self._opened)
        client, self._opened = self._opened, None
        await client.close()

    async def _infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._spaces.trust(self._client(), model_name)
                outputs = await self._ask(model_name, inputs)
            except triton_error() as error:
                if status_of(error) != "UNAVAILABLE" or attempt == _ATTEMPTS:
                    self._raise(error, model_name, inputs)
                self._spaces.doubt()
                await asyncio.sleep(_BACKOFF_S * 4 ** (attempt - 1) * random.uniform(0.5, 1.0))
            else:
                self._statistics.answered(model_name)
                return outputs
        raise AssertionError("unreachable")

    async def _ask(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        client = self._client()
        if self._shared is not None and worth_sharing(inputs):
            try:
                async with self._shared.lend(client, inputs) as lent:
                    if lent is not None:
                        return await self._call(client, model_name, lent)
            except triton_error() as error:
                if "shared memory region" not in str(error):  # which a server that was started anew has forgotten
                    raise
        return await self._call(client, model_name, _as_bytes(inputs))

    async def _call(
        self, client: InferenceServerClient, model_name: str, inputs: list[InferInput]
    ) -> dict[str, NDArray[Any]]:
        result = await client.infer(model_name, inputs, client_timeout=self._limits.deadline_s)
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}

    def _client(self) -> InferenceServerClient:
        if self._opened is None:
            from tritonclient.grpc.aio import InferenceServerClient  # 0.3 s: not before it is needed

            self._opened = InferenceServerClient(self._url, channel_args=_CHANNEL_OPTIONS)
            if self._limits.shared_memory and is_local(self._url):
                self._shared = SharedMemory()
            self._tasks.start(
                self._statistics.follow(self._opened, self._limits.statistics_interval_s), "triton-statistics"
            )
        return self._opened

    def _raise(self, error: Exception, model_name: str, inputs: Tensors) -> NoReturn:
        status, said = status_of(error), str(error)
        if status in {"INVALID_ARGUMENT", ""}:
            shapes = ", ".join(f"{name} {value.dtype} {list(value.shape)}" for name, value in inputs.items())
            raise InvalidArgument(f"model {model_name} does not take {shapes}: {said}") from error
        if status == "DEADLINE_EXCEEDED":
            raise DeadlineExceeded(f"model {model_name} did not answer in {self._limits.deadline_s:g} s") from error
        if status == "NOT_FOUND":
            raise Unavailable(f"model {model_name} is not loaded on the Triton server at {self._url}") from error
        FALLBACKS.labels("triton", "unavailable").inc()
        self._log.warning("triton failed", model=model_name, status=status, detail=said)
        raise Unavailable(f"the Triton server at {self._url} failed: {said}") from error


def _as_bytes(inputs: Tensors) -> list[InferInput]:
    from tritonclient.grpc import InferInput
    from tritonclient.utils import np_to_triton_dtype

    tensors = []
    for name, value in inputs.items():
        tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
        tensor.set_data_from_numpy(value)
        tensors.append(tensor)
    return tensors
