"""Index photos and die by SIGKILL at a chosen durable boundary. Run as a process of its own by test_crash.py.

Usage: crash_child.py DATA_DIR PHOTOS BOUNDARY COUNT
BOUNDARY names an operation; the process kills itself before (`-`) or after (`+`) its COUNT-th call. With `none` it
lives, and prints as JSON what the gallery then holds and how many model passes this run and a further one took. A model
of a few microseconds stands in for the real one: what dies here is bookkeeping, and ten seeds of each boundary must be
affordable.
"""

import asyncio
import dataclasses
import hashlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, event

sys.path.insert(0, str(Path(__file__).parents[1]))  # not started by pytest

from support.holdings import holdings

from kindred_kit.ports.bus import Bus, Consumer, Message, OutgoingMessage
from kindred_kit.ports.inference import Tensors
from kindred_kit.telemetry import configure_logging
from kindred_standalone.compose import Adapters
from kindred_standalone.connect import Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.ingest import Indexer
from kindred_standalone.prepare import Labels
from kindred_standalone.settings import StandaloneSettings


class Fuse:
    """Counts calls of one operation and kills the process at the chosen one."""

    def __init__(self, boundary: str, count: int) -> None:
        self._operation, self._moment, self._left = boundary[:-1], boundary[-1], count

    async def around(self, operation: str, call: Callable[[], Awaitable[Any]]) -> Any:
        mine = operation == self._operation
        if mine and self._moment == "-":
            self.burn()
        result = await call()
        if mine and self._moment == "+":
            self.burn()
        return result

    def burn(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def at(self, boundary: str) -> None:
        if boundary == self._operation + self._moment:
            self.burn()


class FusedBlobs:
    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def put(self, key: str, data: bytes) -> None:
        await self._fuse.around("blob", lambda: self._inner.put(key, data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FusedBus:
    def __init__(self, inner: Bus, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        await self._fuse.around("publish", lambda: self._inner.publish(topic, messages))

    async def published(self, topic: str) -> int:
        return await self._inner.published(topic)

    async def consumer(self, topic: str, group: str) -> Consumer:
        return FusedConsumer(await self._inner.consumer(topic, group), self._fuse)

    async def aclose(self) -> None:
        await self._inner.aclose()


class FusedConsumer:
    def __init__(self, inner: Consumer, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def commit(self, messages: Sequence[Message]) -> None:
        await self._fuse.around("commit", lambda: self._inner.commit(messages))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class HashModel:
    """Embedding from a hash of the pixels, and no boxes: the shapes of the lite pipeline."""

    passes = 0

    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        self.passes += 1
        seed = int.from_bytes(hashlib.sha256(inputs["encoder_image"].tobytes()).digest()[:4], "big")
        vector = np.random.default_rng(seed).standard_normal(768).astype(np.float32)
        return {
            "embedding": (vector / np.linalg.norm(vector))[np.newaxis],
            "boxes": np.zeros((1, 100, 4), np.float32),
            "scores": np.zeros((1, 100), np.float32),
            "classes": np.zeros((1, 100), np.int64),
        }

    async def is_ready(self, model_name: str) -> bool:
        return True

    async def aclose(self) -> None:
        return None


def watch_commits(engine: Engine, fuse: Fuse) -> None:
    """`record` is a commit that added an outbox row, `write` one that added an embedding."""
    kinds = {"outbox": "record", "embeddings": "write"}

    def statement(connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        for table, kind in kinds.items():
            if sql.lstrip().upper().startswith("INSERT") and table in sql.split("(")[0]:
                connection.info["fuse"] = kind

    def before(connection: Any) -> None:
        if kind := connection.info.get("fuse"):
            fuse.at(f"{kind}-")

    def returned(dbapi_connection: Any, record: Any) -> None:
        if kind := record.info.pop("fuse", None):
            fuse.at(f"{kind}+")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", before)
    event.listen(engine, "checkin", returned)


async def main() -> None:
    data_dir, photos, boundary, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    fuse, model = Fuse(boundary, count), HashModel()

    def wrap(adapters: Adapters) -> Adapters:
        watch_commits(adapters.engine, fuse)
        blobs, bus = FusedBlobs(adapters.blobs, fuse), FusedBus(adapters.bus, fuse)
        return dataclasses.replace(adapters, blobs=blobs, bus=bus, inference=model)

    paths = [os.fsencode(path) for path in sorted(photos.iterdir())]
    directory = DataDirectory.at(data_dir)
    async with Session.of(directory, StandaloneSettings(), command="crash test", wrap=wrap) as session:
        await Indexer(session, Labels()).run(paths)
        passes = model.passes
        again = await Indexer(session, Labels()).run(paths)
        first = hashlib.sha256(Path(os.fsdecode(paths[0])).read_bytes()).hexdigest()
        report = {"passes": passes, "passes_again": model.passes - passes, "known_again": again.known}
        print(json.dumps({**report, **await holdings(session.node, first)}))


if __name__ == "__main__":
    configure_logging(level="error")  # stdout is for the result
    asyncio.run(main())
