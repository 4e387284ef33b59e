"""The event log is gone, or the catalogue: what the other parts still hold of it."""

from pathlib import Path

from support.databases import backup, lose
from support.search_service import SearchService, image_id, new_image


async def test_images_that_wait_are_published_on_a_new_event_log(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("embedded")
        await service.accept(new_image("waits"), new_image("deleted"), new_image("fails"))
        await service.delete("deleted")
        await service.app.relay.drain()
    for file in tmp_path.glob("bus.db*"):
        file.unlink()
    async with SearchService(tmp_path) as service:
        await service.accept(new_image("new"))
        events = await service.published()
        assert sorted(event.image_id for event in events) == sorted(image_id(n) for n in ("waits", "fails", "new"))
        assert {event.blob_key for event in events} == {new_image(n).blob_key for n in ("waits", "fails", "new")}
        assert not await service.derive("waits", seq=next(e.seq for e in events if e.image_id == image_id("waits")))


async def test_an_event_log_that_lives_is_left_alone(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.accept(new_image("waits"))
        assert len(await service.published()) == 1
    async with SearchService(tmp_path) as service:
        assert (await service.status()).outbox == 0
        assert len(await service.published()) == 1  # still the one of before


async def test_what_is_in_the_outbox_is_not_published_twice(tmp_path: Path) -> None:
    """Killed between the acceptance and the first publication: the log is new, and nothing was lost."""
    async with SearchService(tmp_path) as service:
        await service.app.tasks.aclose()  # nothing publishes
        await service.accept(new_image("a"))
    async with SearchService(tmp_path) as service:
        assert [event.image_id for event in await service.published()] == [image_id("a")]


async def test_the_index_of_a_catalogue_that_was_deleted_is_forgotten(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        for name in ("ghost 1", "ghost 2"):
            await service.add(name)
        [before] = await service.vectors.names()
        await service.vectors.create("somebody_elses", 4)
    lose(tmp_path / "catalogue.db")
    async with SearchService(tmp_path) as service:
        assert await service.vectors.names() == ["somebody_elses"]
        await service.add("new")
        assert before in await service.vectors.names()  # the same name, and none of its old rows
        assert await service.vectors.count(before) == 1
        status = await service.status()
        assert (status.images, status.index_rows) == (1, 1)
        assert await service.ids("ghost 1") == [image_id("new")]


async def test_an_index_that_knows_more_than_the_catalogue_is_built_anew(tmp_path: Path) -> None:
    """The catalogue was put back from a backup that is older than the index."""
    async with SearchService(tmp_path) as service:
        await service.add("old")
    put_back = backup(tmp_path / "catalogue.db")
    async with SearchService(tmp_path) as service:
        for name in ("ghost 1", "ghost 2"):
            await service.add(name)
    put_back()
    async with SearchService(tmp_path) as service:
        status = await service.status()
        assert (status.images, status.indexed, status.index_rows) == (1, 1, 1)
        assert await service.ids("ghost 1") == [image_id("old")]
