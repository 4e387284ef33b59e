"""A job's life: keys, accounts, parts that are down, ends in between, deletion, expiry, a full disk."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from support.dataset_service import DatasetService, direction, images_of, term
from support.photos import noise_jpeg
from support.search_service import SPACE

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets import builder
from kindred_datasets.store import jobs
from kindred_kit.clock import now_ms
from kindred_kit.errors import DatasetEmpty, RemoteError, StorageFull, Unavailable


def query(text: str = "a dog") -> pb.Query:
    return pb.Query(terms=[term(direction(1))], space=SPACE, text=text)


async def holdout(service: DatasetService, count: int) -> list[pb.GivenImage]:
    return [await service.given(noise_jpeg(900 + n), f"h{n}.jpg", direction(0, 0, 0, 1)) for n in range(count)]


async def test_the_same_key_is_the_same_data_set(service: DatasetService) -> None:
    await service.photo(1, direction(1))
    first = await service.create(query=query(), size=1, key="k")
    again = await service.create(query=query(), size=1, key="k")
    assert again.dataset_id == first.dataset_id
    with pytest.raises(RemoteError) as raised:
        await service.create(query=query(), size=2, key="k")
    assert (raised.value.code, raised.value.status.http, raised.value.status.grpc) == (
        "idempotency_conflict", 409, "ALREADY_EXISTS",
    )  # fmt: skip
    assert (await service.create(query=query(), size=1, key="other")).dataset_id != first.dataset_id


async def test_accounts_see_their_own(service: DatasetService) -> None:
    public = await service.photo(1, direction(1, 0.1), owner="bo")
    hidden = await service.photo(2, direction(1), owner="bo", private=True)
    own = await service.photo(3, direction(1, 0.2), owner="ada", private=True)
    seen: dict[str, set[str]] = {}
    for owner in ("ada", "bo"):
        dataset, manifest = await service.build(owner=owner, query=query(), size=9)
        seen[owner] = set(images_of(manifest))
        other = "bo" if owner == "ada" else "ada"
        with pytest.raises(RemoteError) as raised:
            await service.get(dataset.dataset_id, other)
        assert (raised.value.code, raised.value.status.http) == ("dataset_not_found", 404)
        principal = search_pb2.Principal(owner=other)
        request = pb.DeleteDatasetRequest(principal=principal, dataset_id=dataset.dataset_id)
        assert not (await service.stub.DeleteDataset(request)).deleted
        mine = await service.stub.ListDatasets(pb.ListDatasetsRequest(principal=principal, limit=9))
        assert dataset.dataset_id not in {found.dataset_id for found in mine.datasets}
    assert seen == {"ada": {public.image_id, own.image_id}, "bo": {public.image_id, hidden.image_id}}
    asked = [public.image_id, hidden.image_id]
    dataset, manifest = await service.build(owner="ada", ids=pb.Ids(image_ids=asked))
    assert images_of(manifest) == [public.image_id]
    with pytest.raises(DatasetEmpty):
        await service.create(owner="ada", ids=pb.Ids(image_ids=[hidden.image_id]))
    alike = pb.FailureSet(photos=[pb.FailurePhoto(image_id=own.image_id)])
    _, manifest = await service.build(owner="ada", failures=alike, size=9)
    assert images_of(manifest) == [public.image_id]


async def test_a_part_that_is_down_is_waited_for(service: DatasetService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_BACKOFF_MS", 10)
    await service.photo(1, direction(1))
    service.embedder.error = Unavailable("the embedder is down")
    made = await service.create(query=query(), size=1, holdout=await holdout(service, 1))
    while (await service.get(made.dataset_id)).error_code != "unavailable":
        await asyncio.sleep(0.01)
    service.embedder.error = None
    ended = await service.ended(made.dataset_id)
    assert (ended.state, ended.error_code, ended.images) == (pb.DATASET_STATE_DONE, "", 1)


async def test_a_part_that_stays_down_fails_it(service: DatasetService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_BACKOFF_MS", 0)
    await service.photo(1, direction(1))
    service.embedder.error = Unavailable("the embedder is down")
    dataset, _ = await service.build(query=query(), size=1, holdout=await holdout(service, 1))
    assert (dataset.state, dataset.error_code) == (pb.DATASET_STATE_FAILED, "unavailable")


async def test_a_service_that_ends_goes_on_in_its_next_life(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    async with DatasetService(folder) as service:
        for seed in range(6):
            await service.photo(seed, direction(1, seed))
        common = {"query": query(), "size": 4, "holdout": await holdout(service, 80)}
        whole, _ = await service.build(**common)
        service.embedder.calls, service.embedder.delay_s = 0, 0.05
        made = await service.create(**common)
        while service.embedder.calls < 40:  # 32 are a checkpoint
            await asyncio.sleep(0.005)
    async with DatasetService(folder) as service:
        ended = await service.ended(made.dataset_id)
        assert ended.state == pb.DATASET_STATE_DONE, ended
        assert ended.manifest_sha256 == whole.manifest_sha256
        assert 0 < service.embedder.calls <= 80 - 32  # what was embedded is not embedded again


async def test_another_replica_takes_over_what_one_has_left(tmp_path: Path) -> None:
    """The first one holds its lease and does nothing: as one whose machine has died."""
    folder = tmp_path / "d"
    async with DatasetService(folder, datasets_replica="first") as service:
        await service.photo(1, direction(1))
        await service.app.tasks.aclose()
        made = await service.create(query=query(), size=1)
        taken = await service.app.store.write(jobs.claim, "first/0", now_ms(), 300)
        assert taken is not None
    async with DatasetService(folder, datasets_replica="second") as service:
        ended = await service.ended(made.dataset_id)
        assert ended.state == pb.DATASET_STATE_DONE


async def test_a_deleted_one_is_built_no_further(service: DatasetService) -> None:
    await service.photo(1, direction(1))
    service.embedder.delay_s = 0.05
    made = await service.create(query=query(), size=1, holdout=await holdout(service, 200))
    while service.embedder.calls < 10:
        await asyncio.sleep(0.005)
    principal = search_pb2.Principal(owner="local")
    request = pb.DeleteDatasetRequest(principal=principal, dataset_id=made.dataset_id)
    assert (await service.stub.DeleteDataset(request)).deleted
    assert not (await service.stub.DeleteDataset(request)).deleted
    with pytest.raises(RemoteError):
        await service.get(made.dataset_id)
    service.embedder.delay_s = 0
    dataset, _ = await service.build(query=query(), size=1)  # the builder is free again
    assert dataset.state == pb.DATASET_STATE_DONE
    assert service.embedder.calls < 200
    archives = [info.key async for info in service.blobs.list("datasets")]
    assert archives == [dataset.archive_key]


async def test_what_has_expired_goes_with_its_archive(tmp_path: Path) -> None:
    async with DatasetService(tmp_path / "d", dataset_ttl=timedelta(0)) as service:
        await service.photo(1, direction(1))
        dataset, _ = await service.build(query=query(), size=1)
        (service.folder / "work" / "ds_of_nobody").mkdir(parents=True)
        await service.app.sweeper.sweep()
        with pytest.raises(RemoteError):
            await service.get(dataset.dataset_id)
        assert [info async for info in service.blobs.list("datasets")] == []
        assert list((service.folder / "work").iterdir()) == []


async def test_a_full_disk_leaves_nothing_half_valid(service: DatasetService, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.photo(1, direction(1))

    async def full(key: str, path: Path) -> None:
        raise StorageFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(service.blobs, "put_file", full)
        dataset, _ = await service.build(query=query(), size=1)
    assert (dataset.state, dataset.error_code, dataset.archive_key) == (pb.DATASET_STATE_FAILED, "storage_full", "")
    assert [info async for info in service.blobs.list("datasets")] == []
    assert list((service.folder / "work").iterdir()) == []
    dataset, _ = await service.build(query=query(), size=1)
    assert dataset.state == pb.DATASET_STATE_DONE


async def test_photos_embedded_in_the_space_of_before_are_embedded_again(service: DatasetService) -> None:
    near = await service.photo(1, direction(1))
    await service.photo(2, direction(0, 1))
    given = await service.given(noise_jpeg(500), "one.jpg", direction(1))
    service.embedder.space = "old/1"
    service.embedder.space_after = {1: SPACE}
    failures = pb.FailureSet(photos=[pb.FailurePhoto(given=given)])
    dataset, manifest = await service.build(failures=failures, size=1)
    assert (images_of(manifest), service.embedder.calls) == ([near.image_id], 2), dataset
