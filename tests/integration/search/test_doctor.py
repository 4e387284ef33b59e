"""What does not agree is found, named, and set right; what agrees is left alone."""

from collections import defaultdict

from sqlalchemy import delete, update
from support.search_service import SPACE, SearchService, image_id, new_image, vector

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import reference_key
from kindred_search.catalogue.tables import embeddings, images, outbox
from kindred_search.domain import State
from kindred_search.vectors.port import Row

HOUR_MS = 3_600_000


async def inspect(service: SearchService, *, fix: bool = False, min_age_ms: int = 0) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    async for finding in service.stub.Inspect(pb.InspectRequest(fix=fix, min_age_ms=min_age_ms)):
        found[finding.kind].add(finding.subject)
        assert finding.fixed is (fix and finding.kind != "file_missing")
    return dict(found)


async def with_images(service: SearchService, *names: str) -> None:
    for name in names:
        await service.accept(new_image(name))
        await service.derive(name, thumb=True)
    await service.app.relay.drain()
    await service.settle()


async def change(service: SearchService, name: str, **values: object) -> None:
    of_image = images.c.image_id == image_id(name)
    await service.app.catalogue.write(
        lambda connection: connection.execute(update(images).where(of_image).values(**values))
    )


async def healed(service: SearchService) -> bool:
    await service.app.relay.drain()
    await service.settle()
    return await inspect(service) == {}


async def test_a_healthy_gallery_has_no_findings(service: SearchService) -> None:
    assert await inspect(service) == {}
    await with_images(service, "cat", "dog")
    await service.delete("dog")
    await service.settle()
    assert await inspect(service, fix=True) == {}
    assert set(await service.ids("cat")) == {image_id("cat")}


async def test_orphans_of_the_object_store(service: SearchService) -> None:
    await with_images(service, "cat")
    orphan = new_image("gone").blob_key
    thumb = f"thumbs/{image_id('gone')[:2]}/{image_id('gone')}.jpg"
    for key in (orphan, thumb, "uploads/x"):
        await service.blobs.put(key, b"x")
    assert await inspect(service, min_age_ms=HOUR_MS) == {}, "an upload may be about to be accepted"
    expected = {"blob_orphan": {orphan}, "thumb_orphan": {thumb}}
    assert await inspect(service) == expected
    assert await inspect(service, fix=True) == expected
    assert await service.blobs.head(orphan) is None
    assert await service.blobs.head("uploads/x") is not None
    assert await healed(service)
    [again] = await service.accept(new_image("gone"))
    assert again.created


async def test_lost_bytes_and_thumbnails(service: SearchService) -> None:
    await with_images(service, "cat", "dog", "bird")
    await service.blobs.delete(new_image("cat").blob_key)
    ident = image_id("dog")
    await service.blobs.delete(f"thumbs/{ident[:2]}/{ident}.jpg")
    expected = {"blob_missing": {image_id("cat")}, "thumb_missing": {ident}}
    assert await inspect(service) == expected
    assert await inspect(service, fix=True) == expected
    await service.settle()
    record = await service.record("cat")
    assert record is not None
    assert (record.state, record.failure.code) == (pb.STATE_FAILED, "image_missing")
    assert set(await service.ids("cat")) == {ident, image_id("bird")}
    assert [event.image_id for event in await service.published()][3:] == [ident]
    await service.derive("dog", thumb=True)  # as the worker that reads this does
    [revived] = await service.accept(new_image("cat"))
    assert (revived.seq, revived.state) == (2, pb.STATE_STORED)
    assert not await service.derive("cat", seq=2, thumb=True)
    assert await healed(service)


async def test_a_file_of_the_user_is_named_and_left_alone(service: SearchService, tmp_path: object) -> None:
    from pathlib import Path

    photo = Path(str(tmp_path)) / "a.jpg"
    photo.write_bytes(b"cat")
    stat = photo.stat()
    await service.add("cat", blob_key=reference_key(photo), byte_size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    assert await inspect(service) == {}
    photo.unlink()
    assert await inspect(service, fix=True) == {"file_missing": {image_id("cat")}}
    assert await service.ids("cat") == [image_id("cat")]


async def test_rows_of_the_index(service: SearchService) -> None:
    await with_images(service, "cat", "dog", "bird")
    [name] = await service.vectors.names()
    await service.vectors.delete(name, [image_id("cat")])
    for stray, version in (("dog", 0), ("nobody", 7)):
        row = Row(image_id(stray), vector(stray), version, ("public",), (), "photo", "jpeg", 1, 1, 1)
        await service.vectors.upsert(name, [row])
    expected = {
        "index_missing": {image_id("cat")},
        "index_stale": {image_id("dog")},
        "index_orphan": {image_id("nobody")},
    }
    assert await inspect(service) == expected
    assert await inspect(service, fix=True) == expected
    assert await healed(service)
    assert set(await service.ids("cat")) == {image_id(name) for name in ("cat", "dog", "bird")}


async def test_images_between_states(service: SearchService) -> None:
    await service.accept(new_image("overtaken"))
    await service.app.relay.drain()
    await with_images(service, "cat", "dog")
    await service.accept(new_image("waiting"))
    await service.app.relay.drain()
    await change(service, "overtaken", created_at_ms=1_700_000_000_000)
    await change(service, "cat", state=int(State.DERIVED))
    drop = delete(embeddings).where(embeddings.c.image_id == image_id("dog"), embeddings.c.space == SPACE)
    await service.app.catalogue.write(lambda connection: connection.execute(drop))
    expected = {
        "stuck_stored": {image_id("overtaken")},
        "stuck_derived": {image_id("cat")},
        "embedding_missing": {image_id("dog")},
    }
    found = await inspect(service)
    assert found.pop("index_orphan") == {image_id("dog")}, "its row can't be made again from the catalogue"
    assert found == expected
    before = len(await service.published())
    found = await inspect(service, fix=True)
    assert {kind: found[kind] for kind in expected} == expected
    published = [event.image_id for event in await service.published()]
    assert sorted(published[before:]) == sorted([image_id("overtaken"), image_id("dog")])
    for name in ("overtaken", "dog", "waiting"):
        assert not await service.derive(name, thumb=True)
    assert await healed(service)
    assert await service.state("cat") == pb.STATE_INDEXED


async def test_what_waits_in_the_outbox_is_on_its_way(service: SearchService) -> None:
    await with_images(service, "cat")
    await service.accept(new_image("new"))
    await change(service, "new", created_at_ms=1_700_000_000_000)
    event = {"image_id": image_id("new"), "request_id": "r", "payload": b""}
    async with service.app.relay._draining:
        await service.app.catalogue.write(lambda connection: connection.execute(outbox.insert().values(event)))
        assert await inspect(service) == {}
        await service.app.catalogue.write(lambda connection: connection.execute(delete(outbox)))
