"""What is past its time goes: rows, archives, and what a build that was killed left behind."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

from kindred_datasets.store import jobs
from kindred_kit.adapters.sql import Database
from kindred_kit.clock import now_ms
from kindred_kit.errors import KindredError
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import get_logger

PREFIX = "datasets"
_BATCH = 100
_STRAY_AGE_MS = 3_600_000
"""An archive that no row knows may belong to a build that ends at this moment; after an hour it does not."""


def archive_key(dataset_id: str) -> str:
    return f"{PREFIX}/{dataset_id}/archive.zip"


class Sweeper:
    def __init__(self, store: Database, blobs: BlobStore, work_dir: Path, interval: timedelta) -> None:
        self._store = store
        self._blobs = blobs
        self._work_dir = work_dir
        self._interval_s = interval.total_seconds()
        self._log = get_logger("datasets")

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except KindredError as error:  # the store is down: next time
                self._log.warning("data sets could not be swept", code=error.code, detail=error.detail)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> None:
        """Remove data sets past their time, archives and half-written files of which no row knows."""
        while expired := await self._store.write(jobs.remove_expired, now_ms(), _BATCH):
            for dataset_id in expired:
                await self.remove_files(dataset_id)
            self._log.info("data sets expired", count=len(expired))
        await self._remove_stray_archives()
        await self._remove_stray_work()

    async def remove_files(self, dataset_id: str) -> None:
        await self._blobs.delete(archive_key(dataset_id))

    async def _remove_stray_archives(self) -> None:
        old = now_ms() - _STRAY_AGE_MS
        stray = {info.key.split("/")[1]: info.key async for info in self._blobs.list(PREFIX) if info.modified_ms < old}
        known = await self._store.read(jobs.known, list(stray))
        for dataset_id, key in stray.items():
            if dataset_id not in known:
                await self._blobs.delete(key)

    async def _remove_stray_work(self) -> None:
        folders = await asyncio.to_thread(_folders, self._work_dir)
        known = await self._store.read(jobs.unfinished, list(folders))
        for dataset_id, folder in folders.items():
            if dataset_id not in known:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _folders(work_dir: Path) -> dict[str, Path]:
    return {path.name: path for path in work_dir.iterdir()} if work_dir.is_dir() else {}
