"""Run sources one after the other with a progress bar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from kindred_kit.fetching import Fetcher
from kindred_standalone.cli.indexing import index_paths
from kindred_standalone.cli.running import beside, err
from kindred_standalone.connect import Session
from kindred_standalone.datadir import DataDirectory, free_bytes
from kindred_standalone.prepare import Labels
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.sources.checkpoint import Checkpoint
from kindred_standalone.sources.ingester import Ingester
from kindred_standalone.sources.loading import Loaders
from kindred_standalone.sources.opening import open_source
from kindred_standalone.sources.politeness import Manners, PoliteFetcher
from kindred_standalone.summary import Summary

_REFRESH_S = 0.2
_DOWNLOADS = 16


@dataclass(frozen=True)
class Wanted:
    """What the command line says of all sources. `mapping`: field -> column of a table."""

    labels: Labels
    mapping: Mapping[str, str]
    root: Path | None
    per_host: int
    allow_private: bool
    again: bool


async def ingest_sources(
    directory: DataDirectory, settings: StandaloneSettings, names: Sequence[str], wanted: Wanted, *, quiet: bool
) -> Summary:
    """Ingest all; progress goes to stderr unless `quiet`. Raises UsageError, SourceInvalid before anything is read."""
    limits = settings.limits
    fetcher = Fetcher(
        limits.max_bytes, settings.download_timeout_s, concurrency=_DOWNLOADS, allow_private=wanted.allow_private
    )
    loaders = Loaders(PoliteFetcher(fetcher, Manners(per_host=wanted.per_host)), limits, wanted.root)
    sources = [open_source(name, loaders, limits, wanted.mapping) for name in names]
    summary = Summary()
    directory.create()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(Session.of(directory, settings, command="ingest"))
        checkpoint = stack.enter_context(closing(Checkpoint(directory.ingested)))
        for source in sources:
            if isinstance(source, Path):
                folder = await index_paths(directory, settings, [source], wanted.labels, session=session, quiet=quiet)
                summary.add(folder)
                continue
            defaults = {name: value for name, value in vars(wanted.labels).items() if value}
            ingester = Ingester(
                session,
                checkpoint,
                defaults,
                summary=summary,
                again=wanted.again,
                free_bytes=lambda: free_bytes(directory.root),
            )
            async with _progress(summary, quiet=quiet):
                await ingester.run(source)
    return summary


@asynccontextmanager
async def _progress(summary: Summary, *, quiet: bool) -> AsyncIterator[None]:
    columns = (
        SpinnerColumn(),
        TextColumn("Ingesting"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} read so far"),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=err, transient=True, disable=quiet, refresh_per_second=1 / _REFRESH_S) as progress:
        task = progress.add_task("", total=0, failed="")

        async def watch() -> None:
            while True:
                failed = f"[red]{summary.failed:,} failed[/]" if summary.failed else ""
                progress.update(task, total=summary.total, completed=summary.done, failed=failed)
                await asyncio.sleep(_REFRESH_S)

        async with beside(watch()):
            yield
