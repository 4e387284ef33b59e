"""A gallery for a benchmark: the real services on a data directory, the real indexer, the real HTTP socket."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from kindred_kit.telemetry import configure_logging
from kindred_standalone.connect import Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.ingest import Indexer
from kindred_standalone.prepare import Labels
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.summary import Summary

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def shared(*parts: str) -> Path:
    """A path below ../shared, or an exit that says what is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise SystemExit(f"this benchmark needs {'/'.join(('../shared', *parts))}, which is not on this machine")
    return path


@asynccontextmanager
async def open_gallery(folder: Path) -> AsyncIterator[Session]:
    """All services in this process over the data directory `folder`."""
    configure_logging(level="error")
    async with Session.of(DataDirectory(folder), StandaloneSettings(), command="benchmark") as session:
        yield session


async def index(session: Session, paths: Sequence[Path], summary: Summary | None = None) -> Summary:
    """Index files through the indexer of `kindred index`; raises SystemExit when one of them fails."""
    indexer = Indexer(session, Labels(), summary=summary)
    result = await indexer.run([str(path).encode() for path in paths])
    if result.failures:
        raise SystemExit(f"{result.failed} photos could not be indexed, first: {result.failures[0]}")
    return result


def image_id(path: Path) -> str:
    """The id under which the gallery knows a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
