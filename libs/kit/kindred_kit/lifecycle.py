"""Start and stop: background tasks that are watched, and a wait for SIGINT or SIGTERM."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from kindred_kit.telemetry import get_logger


class BackgroundTasks:
    """Background tasks of one service. One that dies is logged loudly; all end together."""

    def __init__(self, service: str) -> None:
        self._log = get_logger(service)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("background task died", task=task.get_name(), exc_info=error)

    async def aclose(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_for_signal() -> None:
    """Return at the first SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
