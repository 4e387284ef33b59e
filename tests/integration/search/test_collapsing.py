"""Near copies stand behind the better hit: proposed by embeddings, decided by the pictures, the same on every page."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from prometheus_client import REGISTRY
from support.photos import skimage_photo
from support.search_service import DIMENSION, SPACE, SearchService, embedding, image_id, new_image, unit

from kindred.search.v1 import search_pb2 as pb
from kindred_search import collapsing

QUERY = unit(np.ones(DIMENSION))
PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")


def picture(name: str) -> Image.Image:
    photo = Image.open(io.BytesIO(skimage_photo(name))).convert("RGB")
    photo.thumbnail((320, 320))
    return photo


def cropped(photo: Image.Image) -> Image.Image:
    width, height = photo.size
    return photo.crop((width // 10, 0, width, height * 9 // 10))


def thumb(photo: Image.Image, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def near(direction: NDArray[np.float32], cosine: float, seed: int) -> NDArray[np.float32]:
    """A vector at this cosine to `direction`; what is added is orthogonal to it and to the query, so it scores less."""
    known, _ = np.linalg.qr(np.stack([QUERY, direction + 1e-9 * np.arange(DIMENSION)], axis=1))
    other = np.random.default_rng(seed).standard_normal(DIMENSION)
    other -= known @ (known.T @ other)
    return unit(cosine * direction + np.sqrt(1 - cosine**2) * unit(other))


class Gallery:
    """Photos, each with a vector that some copies are near to."""

    def __init__(self, service: SearchService) -> None:
        self.service = service

    async def add(
        self, name: str, values: NDArray[np.float32], jpeg: bytes | None, *, owner: str = "local", **changes: Any
    ) -> str:
        await self.service.accept(new_image(name, **changes), owner=owner)
        await self.service.derive(name, values=values, thumb=jpeg is not None)
        ident = image_id(name)
        if jpeg is not None:
            await self.service.blobs.put(f"thumbs/{ident[:2]}/{ident}.jpg", jpeg)
        await self.service.settle()
        return ident


async def ask(service: SearchService, **fields: Any) -> pb.SearchResponse:
    asked = {"terms": [pb.Term(embedding=embedding(QUERY), weight=1)], "space": SPACE, "limit": 10, "query_digest": "d"}
    principal = pb.Principal(owner=fields.pop("owner", "local"))
    return await service.stub.Search(
        pb.SearchRequest(principal=principal, **{**asked, "collapse_duplicates": True, **fields})
    )


async def all_pages(service: SearchService, limit: int, **fields: Any) -> list[list[tuple[str, set[str]]]]:
    pages, cursor = [], ""
    while True:
        page = await ask(service, limit=limit, cursor=cursor, **fields)
        pages.append([(hit.image_id, set(hit.duplicate_ids)) for hit in page.hits])
        cursor = page.next_cursor
        if not cursor:
            return pages


async def four_photos_with_copies(service: SearchService) -> dict[str, set[str]]:
    """First of each photo in the order of the search -> the others of that photo."""
    gallery, expected = Gallery(service), {}
    for n, name in enumerate(PHOTOS):
        direction, photo = near(QUERY, 0.9 - 0.05 * n, seed=n), picture(name)
        first = await gallery.add(name, direction, thumb(photo))
        ways = {"q20": thumb(photo, 20), "flip": thumb(ImageOps.mirror(photo)), "crop": thumb(cropped(photo))}
        copies = set()
        for seed, (way, jpeg) in enumerate(ways.items(), start=1):
            # behind the first one, and behind some of the other photos
            copies.add(await gallery.add(f"{name} {way}", near(direction, 0.93, seed=10 * n + seed), jpeg))
        expected[first] = copies
    return expected


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_copies_are_behind_the_better_hit_on_every_page(service: SearchService, limit: int) -> None:
    expected = await four_photos_with_copies(service)
    pages = await all_pages(service, limit)
    assert {hit: behind for page in pages for hit, behind in page} == expected
    assert [len(page) for page in pages if page] == [limit] * (4 // limit) + ([4 % limit] if 4 % limit else [])
    page = await ask(service, limit=limit)
    assert page.total == 16  # copies too
    first = await ask(service, limit=limit, cursor=page.next_cursor) if page.next_cursor else page
    again = await ask(service, limit=limit, cursor=page.next_cursor) if page.next_cursor else page
    assert [hit.image_id for hit in first.hits] == [hit.image_id for hit in again.hits]
    assert not [hit for hit in (await ask(service, collapse_duplicates=False)).hits if hit.duplicate_ids]


async def test_copies_are_collapsed_while_browsing_and_in_a_diverse_order(service: SearchService) -> None:
    expected = await four_photos_with_copies(service)
    groups = {frozenset({first, *copies}) for first, copies in expected.items()}
    for fields in ({"terms": [], "space": ""}, {"diversity": 0.5}):
        hits = [hit for page in await all_pages(service, 2, **fields) for hit in page]
        assert {frozenset({hit, *behind}) for hit, behind in hits} == groups


async def test_what_only_looks_alike_to_the_model_stays(service: SearchService) -> None:
    gallery = Gallery(service)
    direction = near(QUERY, 0.8, seed=1)
    one = await gallery.add("one", direction, thumb(picture("coffee.png")))
    other = await gallery.add("other", near(direction, 0.999, seed=2), thumb(picture("chelsea.png")))
    page = await ask(service)
    assert {hit.image_id: list(hit.duplicate_ids) for hit in page.hits} == {one: [], other: []}


def fallbacks(reason: str) -> float:
    return REGISTRY.get_sample_value("kindred_fallbacks_total", {"part": "search", "reason": reason}) or 0.0


async def test_without_a_thumbnail_the_embedding_alone_decides_carefully(service: SearchService) -> None:
    gallery = Gallery(service)
    direction = near(QUERY, 0.9, seed=1)
    first = await gallery.add("first", direction, None)
    same = await gallery.add("same", near(direction, 0.995, seed=2), thumb(picture("coffee.png")))
    broken = await gallery.add("broken", near(direction, 0.995, seed=4), b"no picture")
    alike = await gallery.add("alike", near(direction, 0.95, seed=3), thumb(picture("coffee.png")))
    before = fallbacks("copies_without_thumbnail")
    page = await ask(service)
    assert {hit.image_id: set(hit.duplicate_ids) for hit in page.hits} == {first: {same, broken}, alike: set()}
    assert fallbacks("copies_without_thumbnail") >= before + 3


async def test_another_accounts_private_copy_is_never_named(service: SearchService) -> None:
    gallery = Gallery(service)
    direction, jpeg = near(QUERY, 0.9, seed=1), thumb(picture("coffee.png"))
    hidden = await gallery.add("hidden", near(QUERY, 0.95, seed=1), jpeg, owner="bo", visibility=pb.VISIBILITY_PRIVATE)
    mine = await gallery.add("mine", direction, jpeg)
    public = await gallery.add("public", near(direction, 0.97, seed=2), thumb(picture("coffee.png"), 50), owner="bo")
    page = await ask(service)
    assert [(hit.image_id, list(hit.duplicate_ids)) for hit in page.hits] == [(mine, [public])]
    of_bo = await ask(service, owner="bo")
    assert [hit.image_id for hit in of_bo.hits] == [hidden]
    assert set(of_bo.hits[0].duplicate_ids) == {mine, public}


async def test_a_copy_that_has_gone_is_not_named(service: SearchService) -> None:
    expected = await four_photos_with_copies(service)
    page = await ask(service, limit=1)
    second = await ask(service, limit=1, cursor=page.next_cursor)
    hit = second.hits[0]
    assert set(hit.duplicate_ids) == expected[hit.image_id]
    request = pb.DeleteImagesRequest(principal=pb.Principal(owner="local"), image_ids=[hit.duplicate_ids[0]])
    await service.stub.DeleteImages(request)
    again = await ask(service, limit=1, cursor=page.next_cursor)
    assert again.hits[0].image_id == hit.image_id
    assert set(again.hits[0].duplicate_ids) == set(hit.duplicate_ids[1:])


async def test_the_work_of_a_page_is_bounded(service: SearchService, monkeypatch: pytest.MonkeyPatch) -> None:
    await four_photos_with_copies(service)
    monkeypatch.setattr(collapsing, "_MOST_COMPARED", 2)
    before = fallbacks("copies_not_compared")
    page = await ask(service, limit=100)
    assert fallbacks("copies_not_compared") > before
    assert len(page.hits) + sum(len(hit.duplicate_ids) for hit in page.hits) == 16
    assert sum(len(hit.duplicate_ids) for hit in page.hits) <= 2
