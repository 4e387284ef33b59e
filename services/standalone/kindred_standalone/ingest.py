"""Bring files into the gallery: ask what is known, read the rest, hand it over, wait until it is searchable.

    paths -> [known?] -> [read, probe, hash] -> [accept] -> [wait for the workers]

Each stage hands over through a bounded queue, and at most `_MAX_PENDING` accepted images wait for the workers: however
large the folder, a bounded number of files is in flight. The work survives the end of the owning process (`Session`):
every call may be repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.cores import available_cores
from kindred_kit.errors import DeadlineExceeded, ImageError, KindredError, StorageFull, Unavailable
from kindred_kit.imaging import ImageLimits
from kindred_standalone.connect import LOCAL, Node, Session
from kindred_standalone.prepare import FileVersion, Labels, file_version, prepare
from kindred_standalone.references import file_key
from kindred_standalone.summary import Problem, Summary

_LOOK_UP_BATCH = 256
_ACCEPT_BATCH = 32
_MAX_PENDING = 512
_QUEUE = 64
_POLL_S, _LAST_POLL_S = 0.5, 0.05
_POLL_S_PER_IMAGE = 0.002
"""The fewer wait, the less it costs to ask for their states, and the sooner a run ends after its last image."""
_STALL_S = 300.0
"""Without one image finished in this time something is wrong, and waiting on would hide it."""
_FULL_DISK_S, _LEAST_FREE_BYTES = 5.0, 1_000_000
"""Workers try again for ever; on a disk without room for one thumbnail and one row no image will be finished."""
_ABOUT_THE_FILE = {"image_missing", "image_changed"}

_Unread = tuple[bytes, FileVersion]
_Prepared = tuple[bytes, pb.NewImage]

T = TypeVar("T")


class Indexer:
    """One run over a list of paths. `summary` can be watched while it goes on."""

    def __init__(
        self,
        session: Session,
        labels: Labels,
        limits: ImageLimits | None = None,
        *,
        readers: int = 0,
        summary: Summary | None = None,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        """`free_bytes`: room on the disk of the gallery, asked when nothing is finished any more."""
        self.summary = summary if summary is not None else Summary()
        self._session = session
        self._labels = labels
        self._limits = limits or ImageLimits()
        self._free_bytes = free_bytes
        self._readers = readers or min(4, available_cores())
        self._unread: asyncio.Queue[_Unread | None] = asyncio.Queue(_QUEUE)
        self._prepared: asyncio.Queue[_Prepared | None] = asyncio.Queue(_QUEUE)
        self._pending: dict[str, bytes] = {}
        self._room = asyncio.Semaphore(_MAX_PENDING)
        self._accepted_all = False
        self._seen: set[bytes] = set()

    async def run(self, paths: Sequence[bytes]) -> Summary:
        """Index all; returns once each is searchable or has failed. Raises Unavailable if the workers stand still."""
        started = time.monotonic()
        self.summary.total += len(paths)
        self._pool = ThreadPoolExecutor(self._readers, thread_name_prefix="read")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_up(paths))
                readers = [tasks.create_task(self._read()) for _ in range(self._readers)]
                tasks.create_task(self._close_after(readers))
                tasks.create_task(self._accept())
                tasks.create_task(self._wait())
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self.summary.seconds += time.monotonic() - started
        return self.summary

    # stage 1: what is known already

    async def _look_up(self, paths: Sequence[bytes]) -> None:
        for start in range(0, len(paths), _LOOK_UP_BATCH):
            versions = await self._in_thread(self._versions, paths[start : start + _LOOK_UP_BATCH])
            keys = {file_key(path): path for path in versions}
            request = pb.FindReferencesRequest(principal=LOCAL, blob_keys=list(keys))
            answer = await self._session.call(partial(_find_references, request))
            known = {keys[reference.blob_key]: reference for reference in answer.references}
            for path, version in versions.items():
                reference = known.get(path)
                if reference is None or FileVersion(reference.byte_size, reference.mtime_ns) != version:
                    await self._unread.put((path, version))
                else:
                    await self._recognise(path, version, reference)
        for _ in range(self._readers):
            await self._unread.put(None)

    def _versions(self, paths: Sequence[bytes]) -> dict[bytes, FileVersion]:
        versions = {}
        for path in paths:
            try:
                versions[path] = file_version(path)
            except ImageError as error:
                self._fail(path, error.code, error.detail)
        return versions

    async def _recognise(self, path: bytes, version: FileVersion, known: pb.FindReferencesResponse.Reference) -> None:
        failed = known.state == pb.STATE_FAILED
        if known.state == pb.STATE_DELETED or (failed and _may_succeed(known.failure.code)):
            await self._unread.put((path, version))  # removed by the user and now wanted again, or worth another try
        elif self._is_again(known.image_id):
            self.summary.duplicates += 1
        elif failed:
            self._fail(path, known.failure.code, known.failure.detail)
        elif known.state == pb.STATE_INDEXED:
            self.summary.known += 1
        else:  # accepted by a run that ended before the workers were done
            await self._room.acquire()
            self._pending[known.image_id] = path

    # stage 2: read, probe, hash

    async def _read(self) -> None:
        while (unread := await self._unread.get()) is not None:
            path, version = unread
            try:
                image = await self._in_thread(prepare, path, version, self._labels, self._limits)
            except ImageError as error:
                self._fail(path, error.code, error.detail)
            else:
                await self._prepared.put((path, image))

    async def _close_after(self, readers: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.wait(readers)
        await self._prepared.put(None)

    # stage 3: accept

    async def _accept(self) -> None:
        async for batch in self._batches():
            for _ in batch:
                await self._room.acquire()
            await self._hand_over(batch)
        self._accepted_all = True

    async def _batches(self) -> AsyncIterator[list[_Prepared]]:
        """What has been prepared meanwhile, together: one transaction costs as much as one image's."""
        while (first := await self._prepared.get()) is not None:
            batch = [first]
            while len(batch) < _ACCEPT_BATCH and not self._prepared.empty():
                following = self._prepared.get_nowait()
                if following is None:
                    yield batch
                    return
                batch.append(following)
            yield batch

    async def _hand_over(self, batch: Sequence[_Prepared]) -> None:
        request = pb.AcceptImagesRequest(principal=LOCAL, images=[image for _, image in batch])
        try:
            answer = await self._session.call(lambda node: node.search.AcceptImages(request))
        except (Unavailable, DeadlineExceeded):
            raise
        except KindredError as error:
            if len(batch) > 1:  # one image that is refused must not take the others with it
                for prepared in batch:
                    await self._hand_over([prepared])
            else:
                self._room.release()
                self._fail(batch[0][0], error.code, error.detail)
            return
        for (path, _), result in zip(batch, answer.results, strict=True):
            self._place(path, result)

    def _place(self, path: bytes, result: pb.AcceptImagesResponse.Result) -> None:
        if self._is_again(result.image_id):
            self.summary.duplicates += 1
        elif result.state == pb.STATE_INDEXED:  # the same bytes lay elsewhere when they were indexed
            self.summary.known += 1
        else:
            self._pending[result.image_id] = path
            return
        self._room.release()

    # stage 4: wait for the workers

    async def _wait(self) -> None:
        last_progress = time.monotonic()
        while self._pending or not self._accepted_all:
            if not self._pending or await self._settle():
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > _FULL_DISK_S and self._is_full():
                raise StorageFull(f"the disk is full, and {len(self._pending)} accepted images wait for room")
            elif time.monotonic() - last_progress > _STALL_S:
                raise Unavailable(
                    f"{len(self._pending)} accepted images wait, and none was finished for {_STALL_S / 60:.0f} minutes"
                )
            await asyncio.sleep(min(_POLL_S, max(_LAST_POLL_S, _POLL_S_PER_IMAGE * len(self._pending))))

    def _is_full(self) -> bool:
        return self._free_bytes is not None and self._free_bytes() < _LEAST_FREE_BYTES

    async def _settle(self) -> bool:
        """Count what has come to an end; whether there was any."""
        request = pb.GetStatesRequest(principal=LOCAL, image_ids=list(self._pending))
        answer = await self._session.call(lambda node: node.search.GetStates(request))
        states = {state.image_id: state for state in answer.states}
        settled = False
        for image_id in request.image_ids:
            state = states.get(image_id)
            if state is not None and state.state in {pb.STATE_STORED, pb.STATE_DERIVED}:
                continue
            path = self._pending.pop(image_id)
            self._room.release()
            settled = True
            if state is None or state.state == pb.STATE_DELETED:
                self._fail(path, "removed", "the image was removed again while it was indexed")
            elif state.state == pb.STATE_FAILED:
                self._fail(path, state.failure.code, state.failure.detail)
            else:
                self.summary.indexed += 1
        return settled

    def _is_again(self, image_id: str) -> bool:
        """Whether this run has met these bytes before."""
        digest = bytes.fromhex(image_id)
        if digest in self._seen:
            return True
        self._seen.add(digest)
        return False

    def _fail(self, path: bytes, code: str, detail: str) -> None:
        self.summary.failures.append(Problem(path, code, detail))

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


async def _find_references(request: pb.FindReferencesRequest, node: Node) -> pb.FindReferencesResponse:
    return await node.search.FindReferences(request)


def _may_succeed(failure_code: str) -> bool:
    """Whether the failure was not one of the bytes: a file that was away, a part that was down for too long."""
    return failure_code in _ABOUT_THE_FILE or not failure_code.startswith("image_")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks; all others are its consequences."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
