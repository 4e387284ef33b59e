"""Whether the models on a Triton server are the ones that this process expects."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kindred_kit.errors import SpaceMismatch, Unavailable
from kindred_kit.triton.config import SPACE_PARAMETER

if TYPE_CHECKING:
    from tritonclient.grpc.aio import InferenceServerClient
    from tritonclient.utils import InferenceServerException

_TRUSTED_S = 5.0
"""A model's space is asked for again after this long: an operator may put another model in its place."""


class Spaces:
    """`expected`: model -> embedding space, empty for a model that embeds nothing."""

    def __init__(self, url: str, expected: Mapping[str, str]) -> None:
        self.expected = dict(expected)
        self._url = url
        self._trusted_until: dict[str, float] = {}

    def doubt(self, model_name: str | None = None) -> None:
        """Ask again before the next call to a model, or to any: the server may be another one by then."""
        for name in [model_name] if model_name else list(self._trusted_until):
            self._trusted_until.pop(name, None)

    async def trust(self, client: InferenceServerClient, model_name: str) -> None:
        """Raises Unavailable while the server has another model under this name: an offset is held, not lost."""
        if self.expected[model_name] and time.monotonic() >= self._trusted_until.get(model_name, 0.0):
            try:
                await self.compare(client, model_name)
            except SpaceMismatch as error:
                raise Unavailable(error.detail) from error
            self._trusted_until[model_name] = time.monotonic() + _TRUSTED_S

    async def compare(self, client: InferenceServerClient, model_name: str) -> None:
        """Raises SpaceMismatch, naming both. A model that is not loaded is no other one."""
        expected = self.expected[model_name]
        if not expected:
            return
        try:
            answer = await client.get_model_config(model_name)
        except triton_error() as error:
            if status_of(error) == "NOT_FOUND":
                return  # the call itself, or the question whether it is ready, will say so
            raise
        served = answer.config.parameters[SPACE_PARAMETER].string_value
        if served != expected:
            raise SpaceMismatch(
                f"model {model_name} on Triton at {self._url} embeds into {served or 'no named space'!r}, this process "
                f"expects {expected!r}; write the repository anew with: kindred models repository"
            )


def triton_error() -> type[InferenceServerException]:
    """What the client raises; imported when it is first needed."""
    from tritonclient.utils import InferenceServerException

    return InferenceServerException  # type: ignore[no-any-return]


def status_of(error: Exception) -> str:
    """`UNAVAILABLE` of `StatusCode.UNAVAILABLE`; empty where the client itself refused."""
    return str(getattr(error, "status", str)() or "").rpartition(".")[2]
