"""A gallery opened in the test's own process: a command of its own costs seconds of imports."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kindred.detector.v1 import detector_pb2
from kindred_standalone.connect import Node, Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.ingest import Indexer
from kindred_standalone.prepare import Labels
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.summary import Summary


@asynccontextmanager
async def opened(data_dir: Path, **settings: Any) -> AsyncIterator[Session]:
    async with Session.of(DataDirectory.at(data_dir), StandaloneSettings(**settings), command="test") as session:
        yield session


async def index(session: Session, paths: Sequence[Path]) -> Summary:
    return await Indexer(session, Labels()).run([os.fsencode(path) for path in paths])


async def relabel(
    node: Node, *, flip: bool = False, scales: Sequence[float] = (), since_ms: int = 0, models: Sequence[str] = ()
) -> list[detector_pb2.RelabelProgress]:
    """All messages of a relabelling."""
    looks = detector_pb2.Augmentation(flip=flip, scales=scales)
    request = detector_pb2.RelabelRequest(models=models, augmentation=looks, since_ms=since_ms)
    return [step async for step in node.detector.Relabel(request)]


async def search(node: Node, **body: Any) -> list[dict[str, Any]]:
    answer = (await node.http.post("/v1/search", json={"limit": 100, **body})).raise_for_status().json()
    hits: list[dict[str, Any]] = answer["results"]
    return hits
