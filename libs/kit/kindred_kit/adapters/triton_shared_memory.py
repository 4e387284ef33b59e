"""Large batches to a Triton server on this machine: written once into memory that both see, not through a socket."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kindred_kit.ports.inference import Tensors
from kindred_kit.telemetry import FALLBACKS, get_logger

if TYPE_CHECKING:
    from tritonclient.grpc import InferInput
    from tritonclient.grpc.aio import InferenceServerClient

_LEAST_BATCH = 4
_LEAST_BYTES = 1 << 16
"""Tokens of a text batch are a few kilobytes: below this a copy through the socket is cheaper than a region."""
_KEPT_REGIONS = 8


def is_local(url: str) -> bool:
    """Whether the server can see this machine's memory, as far as its address tells."""
    return url.startswith("unix:") or url.rpartition(":")[0] in {"localhost", "127.0.0.1", "[::1]"}


def worth_sharing(inputs: Tensors) -> bool:
    values = list(inputs.values())
    return bool(values) and len(values[0]) >= _LEAST_BATCH and sum(value.nbytes for value in values) >= _LEAST_BYTES


@dataclass(frozen=True)
class _Region:
    name: str
    size: int
    handle: Any


class SharedMemory:
    """Regions of POSIX shared memory, registered with the server, one call at a time each.

    A server that can't see them (a container of its own) or has forgotten them (a restart) gets the bytes instead.
    """

    def __init__(self) -> None:
        self._free: list[_Region] = []
        self._refused = False
        self._log = get_logger("triton")

    @asynccontextmanager
    async def lend(self, client: InferenceServerClient, inputs: Tensors) -> AsyncIterator[list[InferInput] | None]:
        """The inputs in a region of their own for the time of a call; None where the server does not take one."""
        size = sum(value.nbytes for value in inputs.values())
        region = None if self._refused else await self._region(client, size)
        if region is None:
            yield None
            return
        try:
            yield _written(region, inputs)
        except BaseException:
            # the server may still read it, or has lost it: nobody writes there again
            await self._drop(client, region)
            raise
        if len(self._free) < _KEPT_REGIONS:
            self._free.append(region)
        else:
            await self._drop(client, region)

    async def aclose(self, client: InferenceServerClient) -> None:
        while self._free:
            await self._drop(client, self._free.pop())

    async def _region(self, client: InferenceServerClient, size: int) -> _Region | None:
        from tritonclient.utils import InferenceServerException
        from tritonclient.utils import shared_memory as shm

        for position, region in enumerate(self._free):
            if region.size >= size:
                return self._free.pop(position)
        name, rounded = f"kindred-{secrets.token_hex(8)}", 1 << (size - 1).bit_length()
        try:
            region = _Region(name, rounded, shm.create_shared_memory_region(name, name, rounded, create_only=True))
        except shm.SharedMemoryException as error:
            self._refuse("no shared memory here", error)
            return None
        try:
            await client.register_system_shared_memory(name, f"/{name}", rounded)
        except InferenceServerException as error:
            shm.destroy_shared_memory_region(region.handle)
            if "UNAVAILABLE" in str(error.status()):
                raise
            self._refuse("the server does not see it", error)
            return None
        return region

    def _refuse(self, reason: str, error: Exception) -> None:
        self._refused = True
        FALLBACKS.labels("triton", "shared_memory").inc()
        self._log.warning("no shared memory with triton", reason=reason, detail=str(error))

    async def _drop(self, client: InferenceServerClient, region: _Region) -> None:
        from tritonclient.utils import InferenceServerException
        from tritonclient.utils import shared_memory as shm

        with contextlib.suppress(InferenceServerException):
            await client.unregister_system_shared_memory(region.name, client_timeout=1.0)
        shm.destroy_shared_memory_region(region.handle)


def _written(region: _Region, inputs: Tensors) -> list[InferInput]:
    from tritonclient.grpc import InferInput
    from tritonclient.utils import np_to_triton_dtype
    from tritonclient.utils import shared_memory as shm

    tensors, offset = [], 0
    for name, value in inputs.items():
        shm.set_shared_memory_region(region.handle, [np.ascontiguousarray(value)], offset)
        tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
        tensor.set_shared_memory(region.name, value.nbytes, offset)
        tensors.append(tensor)
        offset += value.nbytes
    return tensors
