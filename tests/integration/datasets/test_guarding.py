"""Copies of the holdout, of the failure photos and of each other, in data sets built over the real search service."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.dataset_service import DatasetService, Photo, direction, images_of, term
from support.photos import encoded, skimage_photo
from support.search_service import SPACE

from kindred.datasets.v1 import datasets_pb2 as pb

EAST = direction(1)


def picture(name: str) -> Image.Image:
    photo = Image.open(io.BytesIO(skimage_photo(name))).convert("RGB")
    photo.thumbnail((320, 320))
    return photo


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    return encoded(image, "JPEG", quality=quality)


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((image.width // 5, 0, image.width, image.height * 4 // 5))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved": lambda image: jpeg(image, 20),
    "cropped": lambda image: jpeg(cropped(image)),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
    "brighter": lambda image: jpeg(image.point(lambda level: min(255, round(1.4 * level)))),
}


async def gallery_of_coffee(service: DatasetService) -> tuple[dict[str, Photo], Photo]:
    """Copies of one photo, the best scored first, and another photo that the model takes for one more."""
    copies = {}
    for place, (kind, make) in enumerate(COPIES.items()):
        vector = direction(1, 0.3, 0.01 * place)
        copies[kind] = await service.photo(0, vector, data=make(picture("coffee.png")))
    other = await service.photo(0, direction(1, 0.3, 0.02, 0.01), data=jpeg(picture("chelsea.png")))
    return copies, other


def query() -> pb.Query:
    return pb.Query(terms=[term(EAST)], space=SPACE)


def notes_of(dataset: pb.Dataset, code: str) -> dict[str, str]:
    return {note.subject: note.detail for note in dataset.notes if note.code == code}


async def test_copies_of_a_holdout_photo_are_left_out_and_named_and_others_stay(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    holdout = await service.given(jpeg(picture("coffee.png")), "coffee.jpg", direction(1, 0.3))
    dataset, manifest = await service.build(query=query(), size=5, holdout=[holdout], keep_duplicates=True)
    assert images_of(manifest) == [other.image_id]
    details = notes_of(dataset, "near_copy_of_holdout")
    assert set(details) == {copy.image_id for copy in copies.values()}
    assert details[copies["cropped"].image_id].startswith("of coffee.jpg: cropped to 64 % of it, agreement 0.9")
    assert details[copies["mirrored"].image_id].startswith("of coffee.jpg: all of it, mirrored")


async def test_a_holdout_photo_of_the_gallery_takes_itself_and_its_copies_out(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    holdout = copies["cropped"].image_id
    dataset, manifest = await service.build(query=query(), size=5, holdout_ids=[holdout])
    assert images_of(manifest) == [other.image_id]
    details = notes_of(dataset, "near_copy_of_holdout")
    assert details[holdout] == "it is a holdout photo itself"
    assert set(details) == {copy.image_id for copy in copies.values()}
    assert "more around" in details[copies["saved"].image_id]


async def test_copies_of_a_failure_photo_are_no_new_photos(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    given = await service.given(jpeg(picture("coffee.png"), 80), "fails.jpg", direction(1, 0.3))
    failures = pb.FailureSet(photos=[pb.FailurePhoto(given=given)])
    dataset, manifest = await service.build(failures=failures, size=5)
    assert images_of(manifest) == [other.image_id]
    assert set(notes_of(dataset, "near_copy_of_failure_photo")) == {copy.image_id for copy in copies.values()}


async def test_of_near_copies_the_best_scored_stays_and_others_fill_the_place(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    far = await service.photo(7, direction(0.2, 1))
    dataset, manifest = await service.build(query=query(), size=3)
    assert set(images_of(manifest)) == {copies["saved"].image_id, other.image_id, far.image_id}
    details = notes_of(dataset, "near_copy")
    assert set(details) == {copies[kind].image_id for kind in ("cropped", "mirrored", "brighter")}
    assert all(detail.startswith(f"of {copies['saved'].image_id}") for detail in details.values())


async def test_kept_copies_never_lie_in_both_parts(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    far = [await service.photo(seed, direction(0.2, 1, seed / 10)) for seed in range(6)]
    ids = [*(copy.image_id for copy in copies.values()), other.image_id, *(photo.image_id for photo in far)]
    for seed in range(4):
        dataset, manifest = await service.build(ids=pb.Ids(image_ids=ids), size=len(ids), val_share=0.4, seed=seed)
        assert sorted(images_of(manifest)) == sorted(ids)
        assert not notes_of(dataset, "near_copy")
        splits = {entry["image_id"]: "val" in entry["path"] for entry in manifest["files"] if "image_id" in entry}
        assert len({splits[copy.image_id] for copy in copies.values()}) == 1
        assert set(splits.values()) == {True, False}


async def test_all_copies_of_the_holdout_is_an_error_that_says_so(service: DatasetService) -> None:
    await service.photo(0, EAST, data=jpeg(picture("coffee.png")))
    holdout = await service.given(jpeg(picture("coffee.png"), 30), "coffee.jpg", EAST)
    dataset, _ = await service.build(query=query(), size=5, holdout=[holdout])
    assert dataset.error_code == "dataset_empty"
    assert "1 near_copy_of_holdout" in dataset.error_detail


async def test_a_holdout_photo_that_cannot_be_read_is_reported_and_the_others_guard(service: DatasetService) -> None:
    copies, other = await gallery_of_coffee(service)
    torn = await service.given(jpeg(picture("rocket.jpg"))[:20], "torn.jpg")
    good = await service.given(jpeg(picture("coffee.png")), "coffee.jpg", direction(1, 0.3))
    dataset, manifest = await service.build(query=query(), size=5, holdout=[torn, good])
    assert images_of(manifest) == [other.image_id]
    assert any(note.subject == "torn.jpg" and "holdout" in note.detail for note in dataset.notes)
    assert len(notes_of(dataset, "near_copy_of_holdout")) == len(copies)


@pytest.mark.parametrize("diversity", [0.0, 0.6])
async def test_what_is_left_out_is_made_up_for_from_further_down(service: DatasetService, diversity: float) -> None:
    rng = np.random.default_rng(0)
    photos = [await service.photo(seed, EAST + 0.1 * rng.normal(size=len(EAST))) for seed in range(24)]
    holdout = [
        await service.given(photo.data + b"\0", f"{number}.jpg", photo.vector)
        for number, photo in enumerate(photos[:8])
    ]
    dataset, manifest = await service.build(query=query(), size=12, holdout=holdout, diversity=diversity)
    assert len(images_of(manifest)) == 12
    assert not set(images_of(manifest)) & {photo.image_id for photo in photos[:8]}
    assert set(notes_of(dataset, "near_copy_of_holdout")) <= {photo.image_id for photo in photos[:8]}
