"""Inference port: named tensors in, named tensors out."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
"""Tensor name -> array; the first axis is the batch."""


class Inference(Protocol):
    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Run one batch. Raises InvalidArgument (unknown model, wrong shape or type), Unavailable, DeadlineExceeded."""
        ...

    async def is_ready(self, model_name: str) -> bool:
        """Whether a call now would be answered."""
        ...

    async def aclose(self) -> None: ...


async def all_ready(inference: Inference, model_names: Iterable[str]) -> bool:
    """Whether calls to all these models would be answered now."""
    return all(await asyncio.gather(*map(inference.is_ready, model_names)))
