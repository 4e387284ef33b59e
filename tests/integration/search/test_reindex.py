"""A reindex while searches and writes go on."""

import asyncio
from pathlib import Path

import pytest
from support.search_service import SearchService, eventually, image_id, new_image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import SpaceMismatch, Unavailable
from kindred_search.catalogue import collections


async def test_a_reindex_of_nothing_ends_at_once(service: SearchService) -> None:
    [progress] = [p async for p in service.stub.Reindex(pb.ReindexRequest())]
    assert (progress.finished, progress.done, progress.total) == (True, 0, 0)


async def test_the_new_index_holds_what_the_old_one_held(service: SearchService) -> None:
    for name in "abc":
        await service.add(name, boxes=[("dog", 0.9)])
    await service.add("gone")
    await service.delete("gone")
    before = await service.search("a")
    progress = [p async for p in service.stub.Reindex(pb.ReindexRequest())]
    assert progress[-1].finished
    assert (progress[-1].done, progress[-1].total) == (3, 3)
    after = await service.search("a")
    assert [hit.image_id for hit in after.hits] == [hit.image_id for hit in before.hits]
    assert after.index_version == progress[-1].index_version != before.index_version
    await eventually(lambda: _collections_are(service, [after.index_version]))


async def test_searches_and_writes_go_on_meanwhile(service: SearchService) -> None:
    names = [f"old {n}" for n in range(40)]
    for name in names:
        await service.accept(new_image(name))
        await service.derive(name)
    await service.settle()
    done = asyncio.Event()

    async def write() -> None:
        for n in range(40):
            await service.accept(new_image(f"new {n}"))
            await service.derive(f"new {n}")
            await service.delete(f"old {n}")
        done.set()

    async def search() -> int:
        found = 0
        while not done.is_set():
            page = await service.search("old 39", limit=50)
            ids = [hit.image_id for hit in page.hits]
            assert len(ids) == len(set(ids))
            assert image_id("old 39") in ids or done.is_set() or await service.state("old 39") == 0
            found += 1
        return found

    async def reindex() -> None:
        while not done.is_set():
            progress = [p async for p in service.stub.Reindex(pb.ReindexRequest())]
            assert progress[-1].finished

    _, searches, _ = await asyncio.gather(write(), search(), reindex())
    assert searches > 0
    await service.settle()
    found = await service.ids("old 39", limit=100)
    assert set(found) == {image_id(f"new {n}") for n in range(40)}
    assert (await service.status()).index_rows == 40


async def test_only_one_reindex_runs(service: SearchService) -> None:
    await service.add("a")
    async with service.app.projector.write_lock:  # the first one waits here
        first = asyncio.create_task(_run(service))
        second = asyncio.create_task(_run(service))
        finished, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(Unavailable, match="running already"):
            await finished.pop()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 1


async def test_a_reindex_that_a_crash_cut_off_leaves_the_old_index(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("a")
        active = (await service.status()).index_version
        half = await service.app.catalogue.write(collections.begin_generation, "test/1", "whole", 16)
        await service.vectors.create(half.name, 16)
    async with SearchService(tmp_path) as service:
        assert (await service.status()).index_version == active
        assert await service.ids("a") == [image_id("a")]
        assert list(await service.vectors.names()) == [active]
        assert await _run(service) != active


async def test_a_caller_that_goes_away_leaves_the_old_index(service: SearchService) -> None:
    for name in "ab":
        await service.add(name)
    active = (await service.status()).index_version
    async for _ in service.app.reindexer.run():
        break
    await eventually(lambda: _collections_are(service, [active]))
    await service.add("c")
    assert set(await service.ids("a")) == {image_id(name) for name in "abc"}
    assert await _run(service) != active


async def _run(service: SearchService, space: str = "") -> str:
    return [p async for p in service.stub.Reindex(pb.ReindexRequest(space=space))][-1].index_version


async def _collections_are(service: SearchService, names: list[str]) -> bool:
    return list(await service.vectors.names()) == names


async def test_another_space_is_searched_from_then_on(service: SearchService) -> None:
    for name in ("both", "old only"):
        await service.add(name)
    with pytest.raises(SpaceMismatch, match="reindex --embed"):
        await _run(service, space="new/1")
    await service.accept(new_image("new only"))
    for name in ("both", "new only"):
        await service.derive(name, space="new/1")
    await service.settle()
    assert set(await service.ids("both")) == {image_id("both"), image_id("old only")}  # as before, until the swap
    await service.app.relay.drain()
    await _run(service, space="new/1")
    await service.settle()
    assert (await service.status()).space == "new/1"
    assert set(await service.ids("both", space="new/1")) == {image_id("both"), image_id("new only")}
    assert [await service.state(name) for name in ("both", "new only", "old only")] == [
        pb.STATE_INDEXED, pb.STATE_INDEXED, pb.STATE_STORED,
    ]  # fmt: skip
    again = (await service.published())[-1]  # what was left behind is with the workers
    assert (again.image_id, again.seq) == (image_id("old only"), 1)
    await service.derive("old only", space="new/1")
    await service.settle()
    assert image_id("old only") in await service.ids("both", space="new/1")
