"""An image from its acceptance to a hit, its deletion and its next life."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.search_service import SearchService, eventually, image_id, new_image

from kindred.events.v1 import events_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import reference_key
from kindred_kit.errors import InvalidArgument, PrincipalMissing, Unavailable

INGESTED, DELETED = events_pb2.ImageEvent.KIND_INGESTED, events_pb2.ImageEvent.KIND_DELETED


async def test_an_accepted_image_is_published_derived_and_found(service: SearchService) -> None:
    [result] = await service.accept(new_image("cat", creator="Ann", source="set one"))
    assert (result.created, result.seq, result.state) == (True, 1, pb.STATE_STORED)
    [event] = await service.published()
    assert (event.kind, event.image_id, event.seq) == (INGESTED, image_id("cat"), 1)
    assert event.blob_key == new_image("cat").blob_key
    assert event.request_id
    assert await service.ids("cat") == []

    assert not await service.derive("cat", boxes=[("dog", 0.9), ("car", 0.4)], thumb=True)
    await eventually(lambda: _is(service, "cat", pb.STATE_INDEXED))
    page = await service.search("cat")
    [hit] = page.hits
    assert hit.image_id == image_id("cat")
    assert hit.score == pytest.approx(1.0, abs=1e-3)
    assert (hit.image.rights.creator, hit.image.rights.license, hit.image.source) == ("Ann", "cc0", "set one")
    assert hit.image.own
    found = [(d.detection.class_name, d.detection.score) for d in hit.image.labels]
    assert found == [("dog", pytest.approx(0.9)), ("car", pytest.approx(0.4))]
    assert hit.image.thumb_key.startswith("thumbs/")
    assert (page.total, page.total_is_lower_bound, page.next_cursor, page.space) == (1, False, "", "test/1")


async def test_accepting_again_publishes_and_embeds_nothing(service: SearchService) -> None:
    await service.add("cat")
    [result] = await service.accept(new_image("cat", license="by"))
    assert (result.created, result.seq, result.state) == (False, 1, pb.STATE_INDEXED)
    assert len(await service.published()) == 1
    record = await service.record("cat")
    assert record is not None
    assert record.rights.license == "by"


async def test_the_same_image_twice_in_one_batch_is_one(service: SearchService) -> None:
    first, second = await service.accept(new_image("cat"), new_image("cat"))
    assert (first.created, second.created) == (True, False)
    assert (first.seq, second.seq) == (1, 1)
    assert len(await service.published()) == 1


async def test_one_bad_image_in_a_batch_leaves_nothing(service: SearchService) -> None:
    with pytest.raises(InvalidArgument, match="64 hex digits"):
        await service.accept(new_image("cat"), _with_bad_id())
    assert (await service.status()).images == 0


async def test_putting_the_same_results_twice_changes_nothing(service: SearchService) -> None:
    await service.add("cat", boxes=[("dog", 0.9)])
    assert not await service.derive("cat", boxes=[("dog", 0.9)])
    await service.settle()
    page = await service.search("cat")
    assert len(page.hits) == 1
    assert len(page.hits[0].image.labels) == 1
    assert (await service.status()).index_rows == 1


async def test_results_of_another_seq_are_stale(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    assert await service.derive("cat", seq=0)
    assert await service.derive("unknown")
    assert await service.state("cat") == pb.STATE_STORED


async def test_a_failure_is_shown_and_a_later_success_clears_it(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    failure = pb.Failure(code="image_truncated", detail="the file ends early")
    request = pb.PutFailureRequest(image_id=image_id("cat"), seq=1, failure=failure)
    assert not (await service.stub.PutFailure(request)).stale
    record = await service.record("cat")
    assert record is not None
    assert (record.state, record.failure) == (pb.STATE_FAILED, failure)
    assert (await service.status()).failed == 1
    [again] = await service.accept(new_image("cat"))
    assert (again.seq, again.state) == (1, pb.STATE_FAILED)  # the same bytes fail again
    assert not await service.derive("cat")  # a replay from the dead-letter topic, after a fix
    await service.settle()
    assert await service.state("cat") == pb.STATE_INDEXED


async def test_a_failure_after_a_success_is_stale(service: SearchService) -> None:
    await service.add("cat")
    failure = pb.Failure(code="image_missing", detail="gone")
    request = pb.PutFailureRequest(image_id=image_id("cat"), seq=1, failure=failure)
    assert (await service.stub.PutFailure(request)).stale
    assert await service.state("cat") == pb.STATE_INDEXED


@pytest.mark.parametrize("code", ["image_missing", "image_changed", "unavailable"])
async def test_a_failure_of_the_place_is_tried_again(service: SearchService, code: str) -> None:
    await service.accept(new_image("cat"))
    failure = pb.Failure(code=code, detail="")
    await service.stub.PutFailure(pb.PutFailureRequest(image_id=image_id("cat"), seq=1, failure=failure))
    [again] = await service.accept(new_image("cat"))
    assert (again.seq, again.state) == (2, pb.STATE_STORED)
    assert [event.seq for event in await service.published()] == [1, 2]
    assert await service.derive("cat", seq=1)
    assert not await service.derive("cat", seq=2)


async def test_the_last_claim_takes_bytes_thumbnail_and_index_row_along(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    await service.derive("cat", thumb=True, boxes=[("dog", 0.9)])
    await service.settle()
    record = await service.record("cat")
    assert record is not None
    assert await service.delete("cat", "cat", "unknown") == [image_id("cat")]
    assert await service.record("cat") is None
    assert await service.ids("cat") == []
    await service.settle()
    assert (await service.status()).index_rows == 0
    assert await service.blobs.head(record.blob_key) is None
    assert await service.blobs.head(record.thumb_key) is None
    assert [(event.kind, event.seq) for event in await service.published()] == [(INGESTED, 1), (DELETED, 2)]
    assert await service.delete("cat") == []


async def test_late_news_of_the_first_life_change_nothing_in_the_second(service: SearchService) -> None:
    await service.add("cat", values=None)
    await service.delete("cat")
    [reborn] = await service.accept(new_image("cat"))
    assert (reborn.created, reborn.seq, reborn.state) == (True, 3, pb.STATE_STORED)
    assert await service.derive("cat", seq=1, boxes=[("car", 0.9)], thumb=True)
    failure = pb.Failure(code="image_truncated", detail="late")
    late = pb.PutFailureRequest(image_id=image_id("cat"), seq=1, failure=failure)
    assert (await service.stub.PutFailure(late)).stale
    assert await service.state("cat") == pb.STATE_STORED
    await service.settle()
    assert await service.ids("cat") == []
    assert not await service.derive("cat", seq=3)
    await service.settle()
    assert await service.ids("cat") == [image_id("cat")]
    assert await service.blobs.head(new_image("cat").blob_key) is not None
    assert [event.seq for event in await service.published()] == [1, 2, 3]


async def test_a_thumbnail_that_comes_after_the_deletion_is_removed(service: SearchService) -> None:
    await service.accept(new_image("cat"))
    await service.delete("cat")
    await service.settle()
    assert await service.derive("cat", thumb=True)
    await service.settle()
    ident = image_id("cat")
    assert await service.blobs.head(f"thumbs/{ident[:2]}/{ident}.jpg") is None


async def test_an_image_is_not_reborn_without_its_bytes(service: SearchService) -> None:
    await service.add("cat")
    await service.delete("cat")
    await service.settle()
    request = pb.AcceptImagesRequest(principal=pb.Principal(owner="local"), images=[new_image("cat")])
    with pytest.raises(Unavailable, match="upload them again"):
        await service.stub.AcceptImages(request)


async def test_bytes_put_again_before_the_burial_are_kept(service: SearchService, tmp_path: Path) -> None:
    await service.add("cat")
    async with service.app.projector.write_lock:  # the projector is held up
        await service.delete("cat")
        await asyncio.sleep(0.01)
        await service.blobs.put(new_image("cat").blob_key, b"again")
    await service.settle()
    [reborn] = await service.accept(new_image("cat"))
    assert reborn.seq == 3
    assert await service.blobs.head(new_image("cat").blob_key) is not None


async def test_originals_are_never_removed(service: SearchService, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"pixels")
    await service.add("cat", blob_key=reference_key(photo))
    await service.delete("cat")
    await service.settle()
    assert photo.read_bytes() == b"pixels"
    references = await _references(service, reference_key(photo))
    assert references == []


async def test_a_known_file_is_found_by_its_reference_by_its_owner_alone(
    service: SearchService, tmp_path: Path
) -> None:
    here, there = _photo(tmp_path / "a.jpg"), _photo(tmp_path / "b.jpg")
    await service.accept(new_image("cat", **here))
    await service.accept(new_image("cat", **there))
    found = await _references(service, here["blob_key"], there["blob_key"], reference_key(tmp_path / "c.jpg"))
    assert {(r.blob_key, r.image_id, r.mtime_ns) for r in found} == {
        (place["blob_key"], image_id("cat"), place["mtime_ns"]) for place in (here, there)
    }
    assert await _references(service, here["blob_key"], owner="other") == []


async def test_a_moved_file_is_read_from_its_new_place(service: SearchService, tmp_path: Path) -> None:
    here, there = reference_key(tmp_path / "a.jpg"), reference_key(tmp_path / "b.jpg")
    await service.add("cat", blob_key=here)
    [moved] = await service.accept(new_image("cat", blob_key=there))
    assert (moved.seq, moved.state) == (1, pb.STATE_INDEXED)
    record = await service.record("cat")
    assert record is not None
    assert record.blob_key == there


async def test_a_file_that_moves_before_it_was_read_is_published_again(service: SearchService, tmp_path: Path) -> None:
    here, there = reference_key(tmp_path / "a.jpg"), reference_key(tmp_path / "b.jpg")
    await service.accept(new_image("cat", blob_key=here))
    [moved] = await service.accept(new_image("cat", blob_key=there))
    assert moved.seq == 2
    assert [event.blob_key for event in await service.published()] == [here, there]


async def test_another_owners_file_takes_over_only_when_the_first_is_gone(
    service: SearchService, tmp_path: Path
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"cat")
    stat = photo.stat()
    place = {"blob_key": reference_key(photo), "byte_size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    other = reference_key(tmp_path / "b.jpg")
    await service.accept(new_image("cat", **place))
    await service.accept(new_image("cat", blob_key=other), owner="other")
    assert (await _record(service)).blob_key == place["blob_key"]
    photo.unlink()
    await service.accept(new_image("cat", blob_key=other), owner="other")
    assert (await _record(service)).blob_key == other


async def test_a_second_copy_is_neither_embedded_nor_does_it_give_the_photo_its_name(
    service: SearchService, tmp_path: Path
) -> None:
    first, second = _photo(tmp_path / "first.jpg"), _photo(tmp_path / "second.jpg")
    await service.accept(new_image("cat", **first, file_name="first.jpg"))
    [again] = await service.accept(new_image("cat", **second, file_name="second.jpg"))
    assert (again.seq, len(await service.published())) == (1, 1)
    record = await _record(service)
    assert (record.blob_key, record.file_name) == (first["blob_key"], "first.jpg")

    await service.derive("cat")
    await service.settle()
    (tmp_path / "first.jpg").unlink()
    assert await _references(service, second["blob_key"]) == [], "the copy would never be read"
    await service.accept(new_image("cat", **second, file_name="second.jpg"))
    record = await _record(service)
    assert (record.blob_key, record.file_name) == (second["blob_key"], "second.jpg")


async def test_stored_bytes_are_preferred_to_a_reference(service: SearchService, tmp_path: Path) -> None:
    here = reference_key(tmp_path / "a.jpg")
    await service.add("cat", blob_key=here)
    await service.accept(new_image("cat"), owner="other")
    assert (await _record(service)).blob_key == new_image("cat").blob_key
    await service.accept(new_image("cat", blob_key=here))
    assert (await _record(service)).blob_key == new_image("cat").blob_key


async def test_a_call_without_a_principal_is_refused(service: SearchService) -> None:
    with pytest.raises(PrincipalMissing):
        await service.search("cat", owner="")
    with pytest.raises(InvalidArgument, match="owner id"):
        await service.search("cat", owner="x' OR true --")


async def test_a_prefix_names_images(service: SearchService) -> None:
    ident = await service.add("cat")
    private = await service.add("dog", owner="other", visibility=pb.VISIBILITY_PRIVATE)

    async def resolve(prefix: str) -> list[str]:
        request = pb.ResolvePrefixRequest(principal=pb.Principal(owner="local"), prefix=prefix)
        return list((await service.stub.ResolvePrefix(request)).image_ids)

    assert await resolve(ident[:6]) == [ident]
    assert await resolve(ident.upper()) == [ident]
    assert await resolve(private[:12]) == []
    for wrong in ("abc", "xyz1", "ffff%", "f" * 65):
        with pytest.raises(InvalidArgument):
            await resolve(wrong)


def _with_bad_id() -> pb.NewImage:
    image = new_image("dog")
    image.image_id = "../x"
    return image


async def _is(service: SearchService, name: str, state: int) -> bool:
    return await service.state(name) == state


async def _record(service: SearchService) -> pb.ImageRecord:
    record = await service.record("cat")
    assert record is not None
    return record


def _photo(path: Path) -> dict[str, Any]:
    """A file on the disk, as an acceptance tells of it."""
    path.write_bytes(b"cat")
    stat = path.stat()
    return {"blob_key": reference_key(path), "byte_size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


async def _references(
    service: SearchService, *keys: str, owner: str = "local"
) -> list[pb.FindReferencesResponse.Reference]:
    request = pb.FindReferencesRequest(principal=pb.Principal(owner=owner), blob_keys=keys)
    return list((await service.stub.FindReferences(request)).references)
