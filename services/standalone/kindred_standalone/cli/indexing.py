"""Scan and index with a progress bar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from kindred_standalone.cli.running import beside, err
from kindred_standalone.connect import Session
from kindred_standalone.datadir import DataDirectory, free_bytes
from kindred_standalone.ingest import Indexer
from kindred_standalone.prepare import Labels
from kindred_standalone.scan import Found, scan
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.summary import Summary

_REFRESH_S = 0.2


async def index_paths(
    directory: DataDirectory,
    settings: StandaloneSettings,
    paths: Sequence[Path],
    labels: Labels,
    *,
    session: Session | None = None,
    quiet: bool = False,
) -> Summary:
    """Index all images below `paths`, over `session` or one of its own; progress goes to stderr unless `quiet`."""
    summary = Summary()
    found = Found()
    directory.create()
    async with AsyncExitStack() as stack:
        if not quiet:
            await stack.enter_async_context(_progress(found, summary))
        await asyncio.to_thread(scan, paths, exclude=[directory.root], found=found)
        summary.skipped = found.skipped
        for problem in found.problems:
            summary.fail(problem)
        summary.total = len(found.problems)
        if found.candidates:
            if session is None:
                session = await stack.enter_async_context(Session.of(directory, settings, command="index"))
            indexer = Indexer(
                session,
                labels,
                settings.limits,
                readers=settings.readers,
                summary=summary,
                free_bytes=lambda: free_bytes(directory.root),
            )
            await indexer.run(found.candidates)
            await _further_labels(session)
    return summary


async def _further_labels(session: Session) -> None:
    """Wait until the models of further label sets have seen all images too; they are not in the embedder's pass."""
    from kindred.detector.v1 import detector_pb2

    request = detector_pb2.GetInfoRequest()
    # another process may own the gallery: there is no event to wait for
    while (await session.call(lambda node: node.detector.GetInfo(request))).pending:  # noqa: ASYNC110
        await asyncio.sleep(_REFRESH_S)


@asynccontextmanager
async def _progress(found: Found, summary: Summary) -> AsyncIterator[None]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=err, transient=True, refresh_per_second=1 / _REFRESH_S) as progress:
        task = progress.add_task("Looking for images", total=0, rate="", failed="")
        async with beside(_watch(progress, task, found, summary)):
            yield


async def _watch(progress: Progress, task: TaskID, found: Found, summary: Summary) -> None:
    started = 0.0
    while True:
        if summary.done and not started:
            started = time.monotonic()
        seconds = time.monotonic() - started
        progress.update(
            task,
            description="Indexing" if started else "Starting" if summary.total else "Looking for images",
            total=summary.total or len(found.candidates),
            completed=summary.done,
            rate=f"{summary.done / seconds:.1f} images/s" if started and seconds > 1 else "",
            failed=f"[red]{summary.failed} failed[/]" if summary.failed else "0 failed",
        )
        await asyncio.sleep(_REFRESH_S)
