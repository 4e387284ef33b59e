"""Bring files into the gallery: ask what is known, read the rest, hand it over, wait until it is searchable.

    paths -> [known?] -> [read, probe, hash] -> [accept] -> [wait for the workers]

Each stage hands over through a bounded queue, and few accepted images wait for the workers: however
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
from kindred_kit.errors import DeadlineExceeded, ImageError, KindredError, Unavailable
from kindred_kit.imaging import ImageLimits
from kindred_standalone.connect import LOCAL, Node, Session
from kindred_standalone.prepare import FileVersion, Labels, file_version, prepare
from kindred_standalone.references import file_key
from kindred_standalone.seen import Seen
from kindred_standalone.summary import Problem, Summary
from kindred_standalone.waiting import Waiting

_LOOK_UP_BATCH = 256
_ACCEPT_BATCH = 32
_QUEUE = 64
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
        self._readers = readers or min(4, available_cores())
        self._unread: asyncio.Queue[_Unread | None] = asyncio.Queue(_QUEUE)
        self._prepared: asyncio.Queue[_Prepared | None] = asyncio.Queue(_QUEUE)
        self._waiting: Waiting[bytes] = Waiting(session, self._finished, free_bytes)
        self._seen = Seen()

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
                tasks.create_task(self._waiting.run())
        except BaseExceptionGroup as group:
            raise first_error(group) from None
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
        elif self._seen.again(known.image_id):
            self.summary.duplicates += 1
        elif failed:
            self._fail(path, known.failure.code, known.failure.detail)
        elif known.state == pb.STATE_INDEXED:
            self.summary.known += 1
        else:  # accepted by a run that ended before the workers were done
            await self._waiting.take_room()
            self._waiting.add(known.image_id, path)

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
                await self._waiting.take_room()
            await self._hand_over(batch)
        self._waiting.close()

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
                self._waiting.give_back()
                self._fail(batch[0][0], error.code, error.detail)
            return
        for (path, _), result in zip(batch, answer.results, strict=True):
            self._place(path, result)

    def _place(self, path: bytes, result: pb.AcceptImagesResponse.Result) -> None:
        if self._seen.again(result.image_id):
            self.summary.duplicates += 1
        elif result.state == pb.STATE_INDEXED:  # the same bytes lay elsewhere when they were indexed
            self.summary.known += 1
        else:
            self._waiting.add(result.image_id, path)
            return
        self._waiting.give_back()

    # stage 4: wait for the workers

    def _finished(self, path: bytes, failure: pb.Failure | None) -> None:
        if failure is None:
            self.summary.indexed += 1
        else:
            self._fail(path, failure.code, failure.detail)

    def _fail(self, path: bytes, code: str, detail: str) -> None:
        self.summary.fail(Problem(path, code, detail))

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


async def _find_references(request: pb.FindReferencesRequest, node: Node) -> pb.FindReferencesResponse:
    return await node.search.FindReferences(request)


def _may_succeed(failure_code: str) -> bool:
    """Whether the failure was not one of the bytes: a file that was away, a part that was down for too long."""
    return failure_code in _ABOUT_THE_FILE or not failure_code.startswith("image_")


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks; all others are its consequences."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
