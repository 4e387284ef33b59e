"""In-memory adapters for unit tests. They pass the same contract suites as the real ones (tests/contract)."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.adapters.object_store import checked_key
from kindred_kit.errors import BlobNotFound, InvalidArgument
from kindred_kit.ports.blobs import BlobInfo
from kindred_kit.ports.bus import Message, OutgoingMessage
from kindred_kit.ports.inference import Tensors


class MemoryBlobs:
    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}

    async def put(self, key: str, data: bytes) -> None:
        self.objects[checked_key(key)] = (data, int(time.time() * 1000))

    async def put_file(self, key: str, path: Path) -> None:
        await self.put(key, path.read_bytes())

    async def get(self, key: str) -> bytes:
        if checked_key(key) not in self.objects:
            raise BlobNotFound(key)
        return self.objects[key][0]

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield (await self.get(key))[start:end]

    async def head(self, key: str) -> BlobInfo | None:
        found = self.objects.get(checked_key(key))
        return BlobInfo(key, len(found[0]), found[1]) if found else None

    async def delete(self, key: str) -> None:
        self.objects.pop(checked_key(key), None)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        folder = prefix.rstrip("/") + "/" if prefix else ""
        for key, (data, modified_ms) in sorted(self.objects.items()):
            if key.startswith(folder):
                yield BlobInfo(key, len(data), modified_ms)

    async def aclose(self) -> None:
        return None


class MemoryBus:
    def __init__(self) -> None:
        self.topics: dict[str, list[Message]] = {}
        self.offsets: dict[tuple[str, str], int] = {}

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        log = self.topics.setdefault(topic, [])
        for message in messages:
            position = log[-1].position + 1 if log else 0
            log.append(Message(topic, message.key, message.payload, dict(message.headers), 0, position))

    async def published(self, topic: str) -> int:
        return len(self.topics.get(topic, []))

    async def kept(self, topic: str) -> Sequence[Message]:
        last = {message.key: message for message in self.topics.get(topic, [])}
        return sorted(last.values(), key=lambda message: message.position)

    async def forget(self, topic: str, keys: Sequence[str]) -> None:
        self.topics[topic] = [message for message in self.topics.get(topic, []) if message.key not in keys]

    async def consumer(self, topic: str, group: str) -> "MemoryConsumer":
        return MemoryConsumer(self, topic, group)

    async def aclose(self) -> None:
        return None


class MemoryConsumer:
    def __init__(self, bus: MemoryBus, topic: str, group: str) -> None:
        self._bus, self._topic, self._group = bus, topic, group
        self._next = bus.offsets.setdefault((topic, group), 0)

    async def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        deadline = time.monotonic() + timeout_s
        while True:
            found = self._bus.topics.get(self._topic, [])[self._next : self._next + max_messages]
            self._next += len(found)
            if found or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(0.005)

    async def commit(self, messages: Sequence[Message]) -> None:
        for message in messages:
            key = (self._topic, self._group)
            self._bus.offsets[key] = max(self._bus.offsets[key], message.position + 1)

    async def lag(self) -> int:
        return len(self._bus.topics.get(self._topic, [])) - self._bus.offsets[self._topic, self._group]

    async def aclose(self) -> None:
        return None


class FakeInference:
    """Model `double`: `x` float32 [n, 2] -> `y` = 2 x."""

    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        if model_name != "double":
            raise InvalidArgument(f"no model {model_name!r}")
        if set(inputs) != {"x"} or inputs["x"].dtype != np.float32 or inputs["x"].shape[1:] != (2,):
            raise InvalidArgument("double takes x float32 [n, 2]")
        return {"y": inputs["x"] * 2}

    async def is_ready(self, model_name: str) -> bool:
        return model_name == "double"

    async def aclose(self) -> None:
        return None
