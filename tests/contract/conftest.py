"""Every adapter of the bus, for the suites that run on it."""

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.fakes import MemoryBus
from support.kafka_server import KafkaServer

from kindred_kit.adapters.kafka_bus import KafkaBus
from kindred_kit.adapters.kafka_client import KafkaSettings
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.ports.bus import Bus

ADAPTERS = ("fake", "sqlite", "kafka")


@pytest.fixture(params=ADAPTERS)
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    bus = _open(request.param, tmp_path, request.getfixturevalue)
    yield bus
    await bus.aclose()


def _open(name: str, folder: Path, fixture: Callable[[str], KafkaServer]) -> Bus:
    if name == "kafka":
        # order is a matter of keys; with one partition it is that of all, as in a file
        return KafkaBus(KafkaSettings.from_url(f"{fixture('kafka').url}?partitions=1", {}))
    return MemoryBus() if name == "fake" else SqliteBus(folder / "bus.db")


@pytest.fixture
def topic() -> str:
    """Of the test's own: a server outlives many tests."""
    return f"images-{secrets.token_hex(4)}.v1"
