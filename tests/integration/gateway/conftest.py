"""A gallery of a few real photos behind the real four services, served on a TCP port."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.commands import CommandLine, Server, serving, write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def server(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command_line = CommandLine(tmp_path_factory.mktemp("gallery") / "data")
    command_line.json("index", photos, "--license", "cc0")
    yield from serving(command_line, tmp_path_factory.mktemp("log") / "server.log", KINDRED_MAX_IMAGE_BYTES="3000000")


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
