"""The real command line on the real models, over a handful of photographs."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.commands import PHOTOS, CommandLine, Server, serving, write_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def gallery(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A gallery of all photos that many tests read and none changes."""
    command_line = CommandLine(tmp_path_factory.mktemp("shared") / "gallery")
    assert command_line.json("index", photos, "--license", "cc0", "--source", "tests")["indexed"] == len(PHOTOS)
    return command_line


@pytest.fixture(scope="session")
def server(gallery: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the shared gallery, and logs every call as JSON."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    yield from serving(gallery, log, KINDRED_LOG_JSON="1", KINDRED_LOG_LEVEL="debug")


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """A gallery of the test's own, still empty."""
    return CommandLine(tmp_path / "gallery")
