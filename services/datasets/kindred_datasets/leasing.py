"""Hold a data set while it is built: a heartbeat beside the work, which ends when somebody else has it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from kindred_datasets.errors import LeaseLost
from kindred_datasets.jobs import Progress
from kindred_datasets.store import jobs
from kindred_kit.adapters.sql import Database
from kindred_kit.clock import now_ms
from kindred_kit.telemetry import get_logger

_BEAT_S = 0.5
"""The heartbeat is what progress bars read."""


class Lease:
    """What `builder` has claimed; every checkpoint is written under it."""

    def __init__(self, store: Database, builder: str, dataset_id: str, length: timedelta) -> None:
        self.store = store
        self.builder = builder
        self.dataset_id = dataset_id
        self._length_ms = int(length.total_seconds() * 1000)
        self._until_ms = now_ms() + self._length_ms
        self._log = get_logger("datasets")

    async def during(self, work: Coroutine[Any, Any, None], progress: Progress) -> None:
        """Do `work` as long as the lease is ours. Raises LeaseLost, and whatever the work raises."""
        working = asyncio.create_task(work)
        beating = asyncio.create_task(self._beat(progress))
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done() and not working.done():
                beating.result()
            await working
        finally:
            for task in (working, beating):
                task.cancel()
            for task in (working, beating):
                with suppress(BaseException):
                    await task

    async def _beat(self, progress: Progress) -> None:
        while True:
            try:
                until_ms = now_ms() + self._length_ms
                await self.store.write(jobs.hold, self.builder, self.dataset_id, until_ms, progress)
                self._until_ms = until_ms
            except LeaseLost:
                raise
            except Exception as error:  # the database may come back in time
                self._log.warning("no heartbeat", dataset_id=self.dataset_id, error=str(error))
                if now_ms() > self._until_ms:
                    raise LeaseLost("the database was away for longer than the lease") from error
            await asyncio.sleep(_BEAT_S)
