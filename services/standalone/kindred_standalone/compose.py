"""The four services in one process, over real gRPC on Unix sockets.

Serialisation, deadlines, interceptors and status codes are those of a cluster; only the adapters differ.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy import Engine

from kindred_kit.models import ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.ports.inference import Inference
from kindred_standalone.datadir import OwnerInfo, Ownership
from kindred_standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Adapters:
    """Everything that the services need from outside, made once and shared."""

    engine: Engine
    vectors: VectorStore
    bus: Bus
    blobs: BlobStore
    inference: Inference
    models: ModelSet


Wrap = Callable[[Adapters], Adapters]
"""Puts something of a test's own around adapters (`dataclasses.replace`)."""


class Standalone:
    """The services of one data directory, from `async with` to its end. Owns the directory and gives it up.

    `listener` is a bound TCP socket for the HTTP API; without it the gateway answers on its Unix socket alone.
    """

    def __init__(
        self,
        ownership: Ownership,
        settings: StandaloneSettings,
        wrap: Wrap | None = None,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        self._ownership = ownership
        self._settings = settings
        self._wrap = wrap or (lambda adapters: adapters)
        self._listener = listener
        self._stack = AsyncExitStack()

    @property
    def info(self) -> OwnerInfo:
        """Where the services answer."""
        return self._ownership.info

    async def __aenter__(self) -> Standalone:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # New clients wait for the next owner instead of finding sockets that are about to close.
        self._ownership.retract()
        await self._stack.aclose()

    async def _start(self) -> None:
        # All ends happen in the reverse order of these starts: HTTP first, the stores last, then the lock.
        self._stack.callback(self._ownership.release)
        adapters = self._wrap(await self._adapters(self._ownership.directory))
