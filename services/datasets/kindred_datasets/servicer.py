"""kindred.datasets.v1.DatasetService."""

import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.datasets.v1 import datasets_pb2_grpc
from kindred_datasets import orders, preflight
from kindred_datasets.convert import dataset_pb, owner_of
from kindred_datasets.errors import IdempotencyConflict
from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import NewJob
from kindred_datasets.store import jobs, notes
from kindred_datasets.sweeping import Sweeper
from kindred_kit.adapters.sql import Database
from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_kit.errors import InvalidArgument

MAX_NOTES = 1_000
MAX_LISTED = 100


class DatasetServicer(datasets_pb2_grpc.DatasetServiceServicer):
    def __init__(
        self,
        store: Database,
        gallery_of: Callable[[str], Gallery],
        sweeper: Sweeper,
        on_new: Callable[[], None],
    ) -> None:
        """`on_new` is told when there is something to build."""
        self._store = store
        self._gallery_of = gallery_of
        self._sweeper = sweeper
        self._on_new = on_new

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.Dataset:
        owner = owner_of(request.principal)
        spec = orders.checked_order(request.spec)
        key = orders.checked_idempotency_key(request.idempotency_key)
        digest = orders.digest_of(spec)
        known = await self._store.read(jobs.of_key, owner, key) if key else None
        if known is None:  # what was accepted once is not judged again: the gallery may have changed
            await preflight.check(self._gallery_of(owner), spec)
        elif known.digest != digest:
            raise IdempotencyConflict("this idempotency key was used for another data set")
        new = NewJob(owner, key, digest, spec, current_request_id())
        dataset_id = f"ds_{secrets.token_hex(12)}"
        try:
            job = await self._store.write(jobs.create, new, dataset_id, now_ms())
        except IntegrityError:  # the same key at the same moment, over another connection: that one was first
            job = await self._store.write(jobs.create, new, dataset_id, now_ms())
        self._on_new()
        return dataset_pb(job)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.Dataset:
        owner = owner_of(request.principal)
        job = await self._store.read(jobs.get, owner, request.dataset_id)
        first = await self._store.read(notes.listed, job.dataset_id, MAX_NOTES)
        by_code = await self._store.read(notes.by_code, job.dataset_id)
        return dataset_pb(job, first, sum(by_code.values()), by_code)

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        owner = owner_of(request.principal)
        if not 1 <= request.limit <= MAX_LISTED:
            raise InvalidArgument(f"limit lies between 1 and {MAX_LISTED}", pointer="/limit")
        found = await self._store.read(jobs.listed, owner, request.limit + 1, request.after_id)
        page = [dataset_pb(job) for job in found[: request.limit]]
        return pb.ListDatasetsResponse(datasets=page, more=len(found) > request.limit)

    async def DeleteDataset(self, request: pb.DeleteDatasetRequest, context: Any) -> pb.DeleteDatasetResponse:
        owner = owner_of(request.principal)
        deleted = await self._store.write(jobs.remove, owner, request.dataset_id)
        if deleted:
            await self._sweeper.remove_files(request.dataset_id)
        return pb.DeleteDatasetResponse(deleted=deleted)
