"""The loop that takes the next data set, builds it under a lease, and says how it ended."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from kindred_datasets.building import Build
from kindred_datasets.errors import LeaseLost
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Job
from kindred_datasets.leasing import Lease
from kindred_datasets.settings import DatasetSettings
from kindred_datasets.store import jobs
from kindred_kit.adapters.sql import Database
from kindred_kit.clock import now_ms
from kindred_kit.context import request_id_var
from kindred_kit.errors import KindredError, StorageFull, storage_error
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import get_logger

MAX_ATTEMPTS = 10
"""Without coming a stage further: then it is said to have failed, instead of being tried for ever."""
_BACKOFF_MS, _MAX_BACKOFF_MS = 1_000, 60_000


class Builder:
    """Builds one data set at a time. `name` is this replica's, and a place of its own in it."""

    def __init__(
        self,
        name: str,
        store: Database,
        gallery_of: Callable[[str], Gallery],
        blobs: BlobStore,
        settings: DatasetSettings,
    ) -> None:
        self._name = name
        self._store = store
        self._gallery_of = gallery_of
        self._blobs = blobs
        self._settings = settings
        self._wake = asyncio.Event()
        self._log = get_logger("datasets")

    def wake(self) -> None:
        """There may be something to build."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; what is under way then waits for the next builder."""
        while True:
            self._wake.clear()
            try:
                job = await self._store.write(jobs.claim, self._name, now_ms(), self._lease_ms)
            except Exception as error:  # the database is down: next time
                self._log.warning("no data set could be claimed", error=str(error))
                job = None
            if job is not None:
                await self._build(job)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._settings.dataset_poll.total_seconds())

    async def _build(self, job: Job) -> None:
        request_id_var.set(job.request_id)
        log = self._log.bind(dataset_id=job.dataset_id, attempt=job.attempts)
        lease = Lease(self._store, self._name, job.dataset_id, self._settings.dataset_lease)
        build = Build(job, lease, self._gallery_of(job.owner), self._blobs, self._settings)
        log.info("data set begun")
        try:
            if job.attempts > MAX_ATTEMPTS:
                raise KindredError("building it has ended this service again and again")
            await lease.during(build.run(), build.progress)
            log.info("data set done", images=build.progress.total)
        except asyncio.CancelledError:
            with suppress(LeaseLost):
                await self._store.write(jobs.give_back, self._name, job.dataset_id)
            raise
        except LeaseLost as error:
            log.info("data set left to others", detail=error.detail)
        except Exception as error:
            if not isinstance(error, KindredError):
                log.error("data set failed", exc_info=error)
            await self._end(job, _known(error))

    async def _end(self, job: Job, error: KindredError) -> None:
        said = (error.code, error.detail)
        # a full disk is for a person to empty; what else can be retried mends itself
        again = error.retryable and not isinstance(error, StorageFull) and job.attempts < MAX_ATTEMPTS
        self._log.warning("data set not built", dataset_id=job.dataset_id, code=error.code, again=again)
        try:
            if again:
                wait_ms = min(_MAX_BACKOFF_MS, _BACKOFF_MS * 2**job.attempts)
                await self._store.write(jobs.postpone, self._name, job.dataset_id, now_ms() + wait_ms, said)
            else:
                expires = now_ms() + int(self._settings.dataset_ttl.total_seconds() * 1000)
                await self._store.write(jobs.fail, self._name, job.dataset_id, said, now_ms(), expires)
        except Exception as lost:  # it is claimed again when the lease is over
            self._log.warning("the end of a data set could not be noted", error=str(lost))

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.dataset_lease.total_seconds() * 1000)


def _known(error: Exception) -> KindredError:
    if isinstance(error, KindredError):
        return error
    return storage_error(error) or KindredError("something went wrong here; the log has it under this request id")
