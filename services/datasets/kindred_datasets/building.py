"""Build one data set: each stage from what the one before has left in the database."""

import orjson

from kindred_datasets.copies.guarding import Guard
from kindred_datasets.copies.pictures import Pictures
from kindred_datasets.export.exporting import export_items
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Archive, Finished, Job, Progress
from kindred_datasets.leasing import Lease
from kindred_datasets.selection.embedding import embed_given
from kindred_datasets.selection.selecting import Selection, Selector
from kindred_datasets.settings import DatasetSettings
from kindred_datasets.store import checkpoints, jobs
from kindred_datasets.store.checkpoints import GivenView
from kindred_datasets.sweeping import archive_key
from kindred_kit.clock import now_ms
from kindred_kit.errors import SpaceMismatch
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import FALLBACKS


class Build:
    """One attempt. Whatever ends it, another attempt goes on from the checkpoints and makes the same data set."""

    def __init__(self, job: Job, lease: Lease, gallery: Gallery, blobs: BlobStore, settings: DatasetSettings) -> None:
        self._job = job
        self._lease = lease
        self._gallery = gallery
        self._blobs = blobs
        self._settings = settings
        self.progress = Progress(failed=job.failed)

    async def run(self) -> None:
        """Raises DatasetEmpty, FailureSetUnreadable, StorageFull, LeaseLost and what the services raise."""
        if not await self._lease.store.read(checkpoints.item_count, self._job.dataset_id):
            await self._select()
        exported = await export_items(self._lease, self._job.spec, self._blobs, self._settings, self.progress)
        done = Finished(
            exported.images,
            exported.boxes,
            self.progress.failed,
            Archive(archive_key(self._job.dataset_id), exported.archive_bytes, exported.archive_sha256),
            exported.manifest_sha256,
        )
        store, now = self._lease.store, now_ms()
        expires = now + int(self._settings.dataset_ttl.total_seconds() * 1000)
        await store.write(jobs.finish, self._lease.builder, self._job.dataset_id, done, exported.notes, now, expires)

    async def _select(self) -> None:
        try:
            selection = await self._selection()
        except SpaceMismatch:
            # the index has moved to another embedding space since the photos were embedded: once more
            FALLBACKS.labels("datasets", "space_mismatch").inc()
            await self._lease.store.write(checkpoints.forget_given, self._lease.builder, self._job.dataset_id)
            selection = await self._selection()
        await self._lease.store.write(
            checkpoints.put_selection,
            self._lease.builder,
            self._job.dataset_id,
            selection.items,
            selection.notes,
            orjson.dumps(selection.facts, option=orjson.OPT_SORT_KEYS),
        )

    async def _selection(self) -> Selection:
        spec, concurrency = self._job.spec, self._settings.dataset_concurrency
        given: list[GivenView] = await embed_given(self._gallery, self._lease, spec, self.progress, concurrency)
        pictures = Pictures(self._gallery, self._blobs, self._settings.limits, concurrency)
        guard = Guard(self._gallery, pictures, spec, given, self.progress)
        return await Selector(self._gallery, guard, spec, given, self.progress, concurrency).select()
