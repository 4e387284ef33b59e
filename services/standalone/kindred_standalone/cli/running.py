"""Run the coroutine of a command: logging, signals, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import typer
from rich.console import Console

from kindred_kit.telemetry import configure_logging
from kindred_standalone.cli.failure import INTERRUPTED, debugging
from kindred_standalone.settings import StandaloneSettings

T = TypeVar("T")

_UNSEEN_WIDTH = 200
"""Of tables that go to a file or a pipe: nothing is wrapped there for want of a screen."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = _UNSEEN_WIDTH


def run(work: Coroutine[Any, Any, T], *, interrupted: str = "Stopped.") -> T:
    """Run to the end. Ctrl-C and SIGTERM cancel the work, which cleans up; `interrupted` is then said, exit 130."""
    settings = StandaloneSettings()
    configure_logging(level=settings.log_level, json=settings.log_json, tracebacks=debugging())
    try:
        return asyncio.run(_with_sigterm(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        with suppress(BrokenPipeError):
            err.print(f"\n{interrupted}")
        raise typer.Exit(INTERRUPTED) from None


async def _with_sigterm(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


@asynccontextmanager
async def beside(watch: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let `watch`, which keeps a progress bar up to date, run as long as the block does."""
    watcher = asyncio.create_task(watch)
    try:
        yield
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
