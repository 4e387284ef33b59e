"""What an operator takes down is nobody's any more and does not come back, late events included."""

import pytest
from support.search_service import SearchService, image_id, new_image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import ImageTakenDown, InvalidArgument
from kindred_search.catalogue import projecting


async def take_down(service: SearchService, *names: str, reason: str = "court order 7") -> list[str]:
    request = pb.TakeDownRequest(image_ids=[image_id(name) for name in names], reason=reason)
    return list((await service.stub.TakeDown(request)).removed_ids)


async def test_all_claims_go_and_the_bytes_do_not_come_back(service: SearchService) -> None:
    await service.accept(new_image("cat"), owner="bob")
    await service.accept(new_image("cat", visibility=pb.VISIBILITY_PRIVATE), owner="ann")
    await service.add("cat")
    await service.derive("cat", thumb=True)
    await service.settle()
    record = await service.record("cat")
    assert record is not None
    assert await take_down(service, "cat", "unknown") == [image_id("cat")]
    await service.settle()
    for owner in ("local", "ann", "bob"):
        assert await service.record("cat", owner) is None
        assert await service.ids("cat", owner=owner) == []
    assert (await service.status()).index_rows == 0
    for key in (record.blob_key, record.thumb_key):
        assert await service.blobs.head(key) is None
    for name in ("cat", "unknown"):
        with pytest.raises(ImageTakenDown, match="taken down by the operator"):
            await service.accept(new_image("dog"), new_image(name), owner="carol")
        assert await service.blobs.head(new_image(name).blob_key) is None
    assert await service.record("dog", "carol") is None, "a batch is accepted whole or not at all"
    assert await service.blobs.head(new_image("dog").blob_key) is not None


async def test_late_events_change_nothing(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    await take_down(service, "cat")
    assert await service.derive("cat", seq=1, thumb=True)
    await service.settle()
    assert (await service.status()).index_rows == 0
    assert [event.seq for event in await service.published()] == [1, 2]
    ident = image_id("cat")
    assert await service.blobs.head(f"thumbs/{ident[:2]}/{ident}.jpg") is None


async def test_reasons_are_kept_and_an_undone_one_comes_back(service: SearchService) -> None:
    await service.add("cat")
    await take_down(service, "cat", "dog")
    listed = (await service.stub.ListTakeDowns(pb.ListTakeDownsRequest(limit=10))).entries
    assert [entry.image_id for entry in listed] == sorted([image_id("cat"), image_id("dog")])
    assert {entry.reason for entry in listed} == {"court order 7"}
    undo = pb.UndoTakeDownsRequest(image_ids=[image_id("cat"), image_id("bird")])
    assert (await service.stub.UndoTakeDowns(undo)).undone_ids == [image_id("cat")]
    await service.settle()
    [reborn] = await service.accept(new_image("cat"))
    assert reborn.seq == 3
    assert not await service.derive("cat", seq=3)
    await service.settle()
    assert await service.ids("cat") == [image_id("cat")]


async def test_a_take_down_needs_a_reason(service: SearchService) -> None:
    with pytest.raises(InvalidArgument, match="reason"):
        await take_down(service, "cat", reason=" ")


async def test_a_thumbnail_that_comes_while_the_image_is_buried_is_removed(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    catalogue, ident = service.app.catalogue, image_id("cat")
    async with service.app.projector.write_lock:  # the projector's own steps, with the late news between them
        await take_down(service, "cat")
        batch = await catalogue.read(projecting.dirty, 10)
        assert await service.derive("cat", seq=1, thumb=True)
        await catalogue.write(projecting.mark_projected, batch, [])
    await service.settle()
    assert await service.blobs.head(f"thumbs/{ident[:2]}/{ident}.jpg") is None
