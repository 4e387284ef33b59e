"""From an order to an archive: every source of images, every filter, and what is left out."""

import numpy as np
import pytest
from support.dataset_service import DatasetService, Photo, direction, images_of, term
from support.photos import noise_jpeg
from support.search_service import SPACE

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_kit.errors import (
    DatasetEmpty,
    ImageNotFound,
    KindredError,
    SpaceMismatch,
    UnknownLabel,
)


async def gallery(service: DatasetService, count: int, **fields: object) -> list[Photo]:
    """Photos ever further from `direction(1)`."""
    return [await service.photo(seed, direction(1, seed / 10), **fields) for seed in range(count)]  # type: ignore[arg-type]


def query(text: str = "a dog") -> pb.Query:
    return pb.Query(terms=[term(direction(1))], space=SPACE, text=text)


async def test_a_list_of_ids(service: DatasetService) -> None:
    photos = await gallery(service, 5, boxes=[("dog", 0.9)])
    asked = [photos[3].image_id, photos[0].image_id, "0" * 64, photos[4].image_id]
    dataset, manifest = await service.build(name="three", ids=pb.Ids(image_ids=asked))
    assert (dataset.state, dataset.images, dataset.boxes) == (pb.DATASET_STATE_DONE, 3, 3), dataset
    assert images_of(manifest) == [image_id for image_id in asked if image_id != "0" * 64]
    archive = await service.archive(dataset)
    written = {archive.read(entry["path"]) for entry in manifest["files"] if "image_id" in entry}
    assert written == {photo.data for photo in (photos[3], photos[0], photos[4])}
    assert manifest["name"] == "three"
    assert [(note.subject, note.code) for note in dataset.notes][:1] == [("0" * 64, "image_not_found")]
    assert not list((service.folder / "work").iterdir())


async def test_a_query_takes_the_nearest(service: DatasetService) -> None:
    photos = await gallery(service, 8)
    dataset, manifest = await service.build(query=query(), size=3)
    assert images_of(manifest) == [photo.image_id for photo in photos[:3]]
    assert (manifest["made_from"]["query"], manifest["made_from"]["space"]) == ("a dog", SPACE)
    assert (dataset.name, dataset.notes_total) == ("dataset", 0)


async def test_without_a_query_the_filter_alone_decides(service: DatasetService) -> None:
    dogs = [await service.photo(seed, direction(1, seed), boxes=[("dog", 0.9)]) for seed in range(3)]
    await service.photo(9, direction(1), boxes=[("car", 0.9)])
    wanted = search_pb2.Filter(labels_all=[search_pb2.LabelTerm(class_name="dog")])
    dataset, manifest = await service.build(query=pb.Query(), size=10, filter=wanted)
    assert set(images_of(manifest)) == {dog.image_id for dog in dogs}
    assert dict(dataset.notes_by_code) == {"fewer_than_asked": 1}


async def test_no_failure_photo_starves(service: DatasetService) -> None:
    """One seed has many near neighbours with higher scores, the other a few far ones."""
    near = [await service.photo(seed, direction(1, 0, seed / 50)) for seed in range(10)]
    far = [await service.photo(100 + seed, direction(0, 1, 1 + seed / 50)) for seed in range(10)]
    failures = pb.FailureSet(
        photos=[
            pb.FailurePhoto(given=await service.given(noise_jpeg(500), "one.jpg", direction(1))),
            pb.FailurePhoto(given=await service.given(noise_jpeg(501), "two.jpg", direction(0, 1))),
        ]
    )
    _, manifest = await service.build(failures=failures, size=6)
    found = images_of(manifest)
    assert {photo.image_id for photo in near[:3]} | {photo.image_id for photo in far[:3]} == set(found)
    assert [entry["photo"] for entry in manifest["made_from"]["failures"]] == ["one.jpg", "two.jpg"]


async def test_a_box_looks_for_its_object(service: DatasetService) -> None:
    whole = [await service.photo(seed, direction(1, 0, seed / 50)) for seed in range(6)]
    objects = [await service.photo(100 + seed, direction(0, 1, seed / 50)) for seed in range(6)]
    data = noise_jpeg(500)
    given = await service.given(data, "one.jpg", direction(1))
    [identity] = [key for key in service.embedder.vectors if key[0] not in {p.image_id for p in whole + objects}]
    service.embedder.vectors[identity[0], (0.25, 0.5, 0.5, 0.5)] = direction(0, 1)
    missed = pb.Missed(x_min=0.25, y_min=0.5, x_max=0.75, y_max=1.0, class_name="dog")
    failures = pb.FailureSet(photos=[pb.FailurePhoto(given=given, missed=[missed])])
    _, manifest = await service.build(failures=failures, size=4)
    assert set(images_of(manifest)) == {photo.image_id for photo in whole[:2] + objects[:2]}


async def test_a_failure_photo_of_the_gallery_is_not_its_own_find(service: DatasetService) -> None:
    photos = await gallery(service, 6)
    failures = pb.FailureSet(photos=[pb.FailurePhoto(image_id=photos[0].image_id)])
    dataset, manifest = await service.build(failures=failures, size=3)
    assert images_of(manifest) == [photo.image_id for photo in photos[1:4]], dataset


async def test_a_failure_photo_that_nobody_can_read_is_said(service: DatasetService) -> None:
    photos = await gallery(service, 4)
    good = pb.FailurePhoto(given=await service.given(noise_jpeg(500), "good.jpg", direction(1)))
    bad = pb.FailurePhoto(given=await service.given(b"no image", "bad.jpg"))
    gone = pb.FailurePhoto(given=pb.GivenImage(blob_key="file:///nowhere/gone.jpg", name="gone.jpg"))
    dataset, manifest = await service.build(failures=pb.FailureSet(photos=[bad, good, gone]), size=2)
    assert images_of(manifest) == [photo.image_id for photo in photos[:2]]
    codes = {note.subject: note.code for note in dataset.notes}
    assert codes == {"bad.jpg": "image_unsupported_format", "gone.jpg": "image_missing"}
    assert dataset.failed == 2
    dataset, _ = await service.build(failures=pb.FailureSet(photos=[bad, gone]), size=2)
    assert (dataset.state, dataset.error_code) == (pb.DATASET_STATE_FAILED, "failure_set_unreadable")


async def test_licences_that_do_not_permit_the_use_are_left_out(service: DatasetService) -> None:
    free = [await service.photo(seed, direction(1, seed)) for seed in range(2)]
    bound = await service.photo(9, direction(1), license="by-nc")
    unknown = await service.photo(10, direction(1, 0.1), license="unknown")
    _, manifest = await service.build(query=query(), size=9, license_type="commercial")
    assert set(images_of(manifest)) == {photo.image_id for photo in free}
    asked = pb.Ids(image_ids=[bound.image_id, free[0].image_id, unknown.image_id])
    dataset, manifest = await service.build(ids=asked, license_type="commercial,modification")
    assert images_of(manifest) == [free[0].image_id]
    assert [note.code for note in dataset.notes][:2] == ["filtered", "filtered"]


async def test_labels_are_exported_by_class_and_threshold(service: DatasetService) -> None:
    await service.photo(1, direction(1), boxes=[("dog", 0.9), ("dog", 0.4), ("car", 0.4), ("car", 0.2), ("bus", 0.9)])
    common = {"query": query(), "size": 1}
    for spec, expected in (
        ({}, {"dog": 2, "car": 2, "bus": 1}),
        ({"label_min_score": 0.3}, {"dog": 2, "car": 1, "bus": 1}),
        ({"label_min_score": 0.3, "class_thresholds": {"Dog": 0.5}}, {"dog": 1, "car": 1, "bus": 1}),
        ({"classes": ["dog", "car"], "class_thresholds": {"car": 0.3}}, {"dog": 2, "car": 1}),
    ):
        _, manifest = await service.build(**common, **spec)
        boxes = {entry["name"]: sum(entry[part]["boxes"] for part in ("train", "val")) for entry in manifest["classes"]}
        assert {name: count for name, count in boxes.items() if count} == expected


async def test_balance_brings_the_rare_class(service: DatasetService) -> None:
    for seed in range(12):
        await service.photo(seed, direction(1, seed / 100), boxes=[("dog", 0.9)])
    for seed in range(3):
        await service.photo(100 + seed, direction(1, 2 + seed), boxes=[("bus", 0.9)])
    for balance, expected in ((False, {"dog": 6}), (True, {"bus": 3, "dog": 3})):
        _, manifest = await service.build(query=query(), size=6, balance_classes=balance)
        images = {entry["name"]: sum(entry[s]["images"] for s in ("train", "val")) for entry in manifest["classes"]}
        assert {name: count for name, count in images.items() if count} == expected


async def test_diversity_covers_more(service: DatasetService) -> None:
    """Four clusters at growing distance; the nearest alone come from the first."""
    rng = np.random.default_rng(0)
    cluster: dict[str, int] = {}
    for n in range(4):
        centre = direction(2, *np.eye(4)[n] * (1 + n / 10))
        for seed in range(6):
            photo = await service.photo(10 * n + seed, centre + 0.02 * rng.standard_normal(16))
            cluster[photo.image_id] = n
    covered = []
    for diversity in (0.0, 0.9):
        _, manifest = await service.build(query=query(), size=6, diversity=diversity, keep_duplicates=True)
        covered.append(len({cluster[image_id] for image_id in images_of(manifest)}))
    assert covered == [1, 4]


async def test_an_empty_result_says_which_filter_took_all(service: DatasetService) -> None:
    for seed in range(5):
        await service.photo(seed, direction(1, seed), boxes=[("dog", 0.9)], license="by-nc")
    wanted = search_pb2.Filter(labels_all=[search_pb2.LabelTerm(class_name="dog", min_score=0.5)])
    with pytest.raises(DatasetEmpty) as raised:
        await service.create(query=query(), size=3, filter=wanted, license_type="commercial")
    assert raised.value.detail == (
        "no image passes all filters: without “label dog of at least 0.5” 0, with it alone 5; "
        "without “license_type commercial” 5, with it alone 0; without any 5"
    )
    with pytest.raises(DatasetEmpty, match=r"score at least 0\.99"):
        await service.create(
            query=pb.Query(terms=[term(direction(0, 0, 1))], space=SPACE), size=3, filter=wanted, min_score=0.99
        )
    with pytest.raises(DatasetEmpty):
        await service.create(ids=pb.Ids(image_ids=["0" * 64]))


async def test_an_empty_gallery(service: DatasetService) -> None:
    with pytest.raises(DatasetEmpty, match="the gallery is empty"):
        await service.create(query=query(), size=3)


@pytest.mark.parametrize(
    ("spec", "error", "pointer"),
    [
        ({"classes": ["dogg"]}, UnknownLabel, "/labels/classes"),
        ({"class_thresholds": {"dogg": 0.5}}, UnknownLabel, "/labels/thresholds"),
        (
            {"filter": search_pb2.Filter(labels_all=[search_pb2.LabelTerm(class_name="dogg")])},
            UnknownLabel,
            "/filter/labels/all/0",
        ),
        ({"query": pb.Query(terms=[term(direction(1))], space="other/1")}, SpaceMismatch, None),
        (
            {"failures": pb.FailureSet(photos=[pb.FailurePhoto(image_id="0" * 64)])},
            ImageNotFound,
            "/failures/0/image_id",
        ),
    ],
)
async def test_bad_orders_are_refused_at_once(
    service: DatasetService, spec: dict[str, object], error: type[KindredError], pointer: str | None
) -> None:
    await gallery(service, 2)
    with pytest.raises(error) as raised:
        await service.create(**{"query": query(), "size": 3, **spec})
    assert raised.value.pointer == pointer
    if error is UnknownLabel:
        assert "did you mean dog" in raised.value.detail
    page = await service.stub.ListDatasets(
        pb.ListDatasetsRequest(principal=search_pb2.Principal(owner="local"), limit=10)
    )
    assert list(page.datasets) == []
