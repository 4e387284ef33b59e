"""The stages of `kindred index` over a catalogue in memory."""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import InvalidArgument, StorageFull, Unavailable
from kindred_standalone import ingest, waiting
from kindred_standalone.ingest import Indexer
from kindred_standalone.prepare import Labels


class FakeCatalogue:
    """Accepts; an image is finished `polls` looks later. `refused` raises for an image id."""

    def __init__(self, polls: int = 1) -> None:
        self.polls = polls
        self.left: dict[str, int] = {}
        self.images: dict[str, pb.NewImage] = {}
        self.references: dict[str, pb.FindReferencesResponse.Reference] = {}
        self.failing: dict[str, str] = {}
        self.refused: set[str] = set()
        self.accepts = 0
        self.most_waiting = 0

    def state(self, image_id: str) -> int:
        if self.left[image_id] > 0:
            return pb.STATE_STORED
        return pb.STATE_FAILED if image_id in self.failing else pb.STATE_INDEXED

    async def FindReferences(self, request: pb.FindReferencesRequest) -> pb.FindReferencesResponse:
        known = [self.references[key] for key in request.blob_keys if key in self.references]
        for reference in known:
            if reference.state != pb.STATE_DELETED:
                reference.state = self.state(reference.image_id)
        return pb.FindReferencesResponse(references=known)

    async def AcceptImages(self, request: pb.AcceptImagesRequest) -> pb.AcceptImagesResponse:
        self.accepts += 1
        response = pb.AcceptImagesResponse()
        if any(image.image_id in self.refused for image in request.images):
            raise InvalidArgument("refused")
        for image in request.images:
            created = image.image_id not in self.images
            self.images.setdefault(image.image_id, image)
            self.left.setdefault(image.image_id, self.polls)
            self.references[image.blob_key] = pb.FindReferencesResponse.Reference(
                blob_key=image.blob_key,
                image_id=image.image_id,
                byte_size=image.byte_size,
                mtime_ns=image.mtime_ns,
                failure=pb.Failure(code=self.failing.get(image.image_id, "")),
            )
            response.results.add(image_id=image.image_id, created=created, seq=1, state=self.state(image.image_id))
        self.most_waiting = max(self.most_waiting, sum(left > 0 for left in self.left.values()))
        return response

    async def GetStates(self, request: pb.GetStatesRequest) -> pb.GetStatesResponse:
        response = pb.GetStatesResponse()
        for image_id in request.image_ids:
            self.left[image_id] -= 1
            code = self.failing.get(image_id, "")
            response.states.add(image_id=image_id, state=self.state(image_id), failure=pb.Failure(code=code))
        return response


class FakeSession:
    def __init__(self, catalogue: FakeCatalogue) -> None:
        self._node = SimpleNamespace(search=catalogue)

    async def call(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await work(self._node)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_POLL_S", 0.001)


def photo(path: Path, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 7)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return os.fsencode(path)


def indexer(catalogue: FakeCatalogue) -> Indexer:
    session: Any = FakeSession(catalogue)
    return Indexer(session, Labels(), readers=2)


async def test_each_file_is_counted_once(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    paths = [photo(tmp_path / f"{n}.png", n) for n in range(100)]
    paths.append(photo(tmp_path / "again.png", 5))
    (tmp_path / "empty.png").write_bytes(b"")
    paths.append(os.fsencode(tmp_path / "empty.png"))
    paths.append(os.fsencode(tmp_path / "gone.png"))
    summary = await indexer(catalogue).run(paths)
    assert (summary.indexed, summary.known, summary.duplicates, summary.failed) == (100, 0, 1, 2)
    assert summary.done == summary.total == 103
    assert {problem.code for problem in summary.failures} == {"image_empty", "image_missing"}


async def test_a_second_run_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = FakeCatalogue()
    paths = [photo(tmp_path / f"{n}.png", n) for n in range(10)] + [photo(tmp_path / "again.png", 5)]
    await indexer(catalogue).run(paths)
    monkeypatch.setattr(ingest, "prepare", None)  # calling it would fail
    summary = await indexer(catalogue).run(paths)
    assert (summary.indexed, summary.known, summary.duplicates) == (0, 10, 1)


async def test_a_changed_file_is_read_again_and_a_moved_one_is_known(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    paths = [photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 2)]
    await indexer(catalogue).run(paths)
    photo(tmp_path / "a.png", 300)
    os.utime(tmp_path / "a.png", ns=(1, 1))
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    summary = await indexer(catalogue).run([paths[0], os.fsencode(tmp_path / "c.png")])
    assert (summary.indexed, summary.known) == (1, 1)


async def test_what_an_earlier_run_left_waiting_is_waited_for(tmp_path: Path) -> None:
    catalogue = FakeCatalogue(polls=3)
    path = photo(tmp_path / "a.png", 1)
    await indexer(catalogue).run([path])
    for image_id in catalogue.left:
        catalogue.left[image_id] = 2
    accepts = catalogue.accepts
    summary = await indexer(catalogue).run([path])
    assert summary.indexed == 1
    assert catalogue.accepts == accepts


async def test_a_failure_of_the_worker_has_its_reason_and_is_remembered(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    path = photo(tmp_path / "a.png", 1)
    await indexer(catalogue).run([path])
    catalogue.failing = dict.fromkeys(catalogue.images, "image_truncated")
    catalogue.references = {
        key: pb.FindReferencesResponse.Reference(
            blob_key=key,
            image_id=reference.image_id,
            byte_size=reference.byte_size,
            mtime_ns=reference.mtime_ns,
            failure=pb.Failure(code="image_truncated"),
        )
        for key, reference in catalogue.references.items()
    }
    summary = await indexer(catalogue).run([path])
    assert [problem.code for problem in summary.failures] == ["image_truncated"]


async def test_a_removed_image_can_be_indexed_again(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    path = photo(tmp_path / "a.png", 1)
    await indexer(catalogue).run([path])
    for reference in catalogue.references.values():
        reference.state = pb.STATE_DELETED
    catalogue.left = dict.fromkeys(catalogue.left, 1)
    summary = await indexer(catalogue).run([path])
    assert summary.indexed == 1
    assert catalogue.accepts == 2


async def test_one_refused_image_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    paths = [photo(tmp_path / f"{n}.png", n) for n in range(20)]
    await indexer(catalogue).run(paths[:1])
    catalogue = FakeCatalogue()
    catalogue.refused = {await refused_id(paths[3])}
    summary = await indexer(catalogue).run(paths)
    assert (summary.indexed, summary.failed) == (19, 1)
    assert summary.failures[0].path == paths[3]


async def refused_id(path: bytes) -> str:
    catalogue = FakeCatalogue()
    await indexer(catalogue).run([path])
    return next(iter(catalogue.images))


async def test_a_bounded_number_waits_for_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_MAX_PENDING", 40)
    catalogue = FakeCatalogue(polls=3)
    summary = await indexer(catalogue).run([photo(tmp_path / f"{n}.png", n) for n in range(200)])
    assert summary.indexed == 200
    assert catalogue.most_waiting <= 40


async def test_workers_that_stand_still_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_STALL_S", 0.02)
    with pytest.raises(Unavailable, match="1 accepted images wait"):
        await indexer(FakeCatalogue(polls=10**9)).run([photo(tmp_path / "a.png", 1)])


async def test_a_full_disk_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_FULL_DISK_S", 0.0)
    session: Any = FakeSession(FakeCatalogue(polls=10**9))
    full = Indexer(session, Labels(), free_bytes=lambda: 4096)
    with pytest.raises(StorageFull, match="1 accepted image"):
        await full.run([photo(tmp_path / "a.png", 1)])


async def test_cancelling_ends_all_stages(tmp_path: Path) -> None:
    task = asyncio.create_task(indexer(FakeCatalogue(polls=10**9)).run([photo(tmp_path / "a.png", 1)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
