"""Many callers at once."""

import asyncio

from support.search_service import SearchService, image_id, labels, new_image

from kindred.search.v1 import search_pb2 as pb


async def test_the_same_images_accepted_by_many_at_once_are_published_once(service: SearchService) -> None:
    names = [f"image {n}" for n in range(10)]
    owners = [f"owner-{n}" for n in range(8)]
    calls = [service.accept(*[new_image(name) for name in names], owner=owner) for owner in owners]
    results = await asyncio.gather(*calls)
    assert all(result.seq == 1 for of_owner in results for result in of_owner)
    assert len(await service.published()) == 10
    assert (await service.status("owner-3")).claims == 10


async def test_writers_of_all_kinds_leave_a_consistent_index(service: SearchService) -> None:
    async def live(n: int) -> None:
        name = f"image {n}"
        [accepted] = await service.accept(new_image(name), owner="ann")
        await asyncio.gather(
            service.derive(name, seq=accepted.seq, boxes=[("dog", 0.9)]),
            service.accept(new_image(name), owner="bob"),
            service.search(name, owner="cem"),
        )
        if n % 3 == 0:
            await asyncio.gather(service.delete(name, owner="ann"), service.delete(name, owner="bob"))

    await asyncio.gather(*[live(n) for n in range(30)])
    await service.settle()
    alive = {image_id(f"image {n}") for n in range(30) if n % 3}
    assert set(await service.ids("image 1", owner="cem", limit=100)) == alive
    status = await service.status("cem")
    assert (status.images, status.indexed, status.index_rows, status.pending) == (20, 20, 20, 0)
    deleted = [event for event in await service.published() if event.kind == event.KIND_DELETED]
    assert len(deleted) == 10


async def test_events_of_one_image_are_published_in_order(service: SearchService) -> None:
    for _ in range(5):
        await service.accept(new_image("cat"))
        await service.delete("cat")
        await service.settle()
    assert [event.seq for event in await service.published()] == list(range(1, 11))


async def test_labels_of_a_newer_model_version_replace_the_old_ones(service: SearchService) -> None:
    await service.add("cat", boxes=[("dog", 0.9)])
    newer = labels([("car", 0.8)], model_version="2")
    await service.stub.PutDerived(
        pb.PutDerivedRequest(images=[pb.Derived(image_id=image_id("cat"), seq=1, labels=[newer])])
    )
    await service.settle()
    record = await service.record("cat")
    assert record is not None
    assert [(label.model_version, label.detection.class_name) for label in record.labels] == [("2", "car")]
    assert record.state == pb.STATE_INDEXED
