"""Facets, near copies and diversity: what is done with a whole ranked list, and its pages."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import gallery
from support.gallery import Item
from support.search_service import DIMENSION, SPACE, SearchService, embedding, unit

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import CursorTooDeep, InvalidArgument
from kindred_search.vectors.lancedb_store import Tuning


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return gallery.make_items(1_200, seed=11)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SearchService]:
    async with SearchService(tmp_path, tuning=Tuning(scalar_index_rows=100, vector_index_rows=1_000)) as running:
        yield running


QUERY = unit(np.random.default_rng(7).standard_normal(DIMENSION))


async def ask(service: SearchService, owner: str = "ada", **fields: Any) -> pb.SearchResponse:
    asked = {"terms": [pb.Term(embedding=embedding(QUERY), weight=1)], "space": SPACE, "limit": 10, "query_digest": "d"}
    return await service.stub.Search(pb.SearchRequest(principal=pb.Principal(owner=owner), **{**asked, **fields}))


async def all_pages(service: SearchService, owner: str = "ada", **fields: Any) -> list[pb.SearchResponse]:
    pages = [await ask(service, owner, **fields)]
    while pages[-1].next_cursor:
        try:
            pages.append(await ask(service, owner, **{**fields, "cursor": pages[-1].next_cursor}))
        except CursorTooDeep:
            break
    return pages


def hits_of(pages: list[pb.SearchResponse]) -> list[pb.Hit]:
    return [hit for page in pages for hit in page.hits]


def counted(items: list[Item]) -> dict[str, tuple[int, int]]:
    """Class -> images and boxes."""
    in_images, boxes = Counter[str](), Counter[str]()
    for item in items:
        in_images.update({name for name, _ in item.boxes})
        boxes.update(name for name, _ in item.boxes)
    return {name: (in_images[name], boxes[name]) for name in in_images}


def said(page: pb.SearchResponse) -> dict[str, tuple[int, int]]:
    return {count.class_name: (count.images, count.boxes) for count in page.facets}


@pytest.mark.parametrize("owner", ["ada", "stranger"])
async def test_facets_count_the_best_hits_that_the_principal_sees(
    service: SearchService, items: list[Item], owner: str
) -> None:
    some = items[:600]
    await gallery.put(service, some)
    wanted = pb.Filter(labels_any=[pb.LabelTerm(class_name="car", min_score=0.33), pb.LabelTerm(class_name="person")])
    for fields in ({}, {"terms": [], "space": ""}):
        pages = await all_pages(service, owner, facets=True, filter=wanted, limit=100, **fields)
        expected = gallery.passing(some, owner, wanted)
        assert pages[0].facets_over == pages[0].total == len(expected) > 50
        assert said(pages[0]) == counted(expected)
        assert [count.images for count in pages[0].facets] == sorted((c.images for c in pages[0].facets), reverse=True)
        assert all(said(page) == said(pages[0]) for page in pages)
        assert {hit.image_id for hit in hits_of(pages)} == {item.image_id for item in expected}
    assert not (await ask(service, owner)).facets


async def test_facets_of_a_large_result_are_those_of_the_thousand_nearest(
    service: SearchService, items: list[Item]
) -> None:
    many = [Item(**{**vars(item), "claims": {"ada": (pb.VISIBILITY_PRIVATE, "by")}}) for item in items]
    await gallery.put(service, many)
    page = await ask(service, facets=True)
    nearest = sorted(many, key=lambda item: -float(item.vector @ QUERY))[:1_000]
    assert (page.facets_over, page.total, page.total_is_lower_bound) == (1_000, 1_000, True)
    exact = counted(nearest)
    for name, (in_images, boxes) in said(page).items():  # HNSW may miss a few of a thousand
        assert in_images == pytest.approx(exact[name][0], rel=0.03)
        assert boxes == pytest.approx(exact[name][1], rel=0.03)


async def test_browsing_in_pages_is_newest_first_without_scores(service: SearchService, items: list[Item]) -> None:
    await gallery.put(service, items[:60])
    newer = [await service.add(f"newer {n}", owner="ada") for n in range(5)]
    fields: dict[str, Any] = {"terms": [], "space": "", "limit": 7}
    hits = hits_of(await all_pages(service, **fields))
    ids = [hit.image_id for hit in hits]
    seen = {item.image_id for item in gallery.passing(items[:60], "ada", pb.Filter())}
    assert ids[:5] == newer[::-1]
    assert set(ids) == seen | set(newer)
    assert len(ids) == len(set(ids))
    assert not any(hit.HasField("score") for hit in hits)
    first = await ask(service, **fields)
    assert first.index_version
    with pytest.raises(InvalidArgument, match="needs a query"):
        await ask(service, **fields, min_score=0.1)


async def test_nothing_indexed_is_an_empty_page(service: SearchService) -> None:
    page = await ask(service, terms=[], space="", facets=True, collapse_duplicates=True, diversity=0.5)
    assert (len(page.hits), page.next_cursor, page.facets_over) == (0, "", 0)


async def test_diversity_reorders_the_same_hits_and_pages_go_on(service: SearchService, items: list[Item]) -> None:
    some = items[:200]
    await gallery.put(service, some)
    plain = hits_of(await all_pages(service, limit=100))
    spread = hits_of(await all_pages(service, diversity=0.7, limit=7))
    scores = {hit.image_id: hit.score for hit in plain}
    assert {hit.image_id: hit.score for hit in spread} == pytest.approx(scores)
    assert len(spread) == len(scores)
    assert [hit.image_id for hit in spread] != [hit.image_id for hit in plain]
    assert spread[0].image_id == plain[0].image_id  # the best one is chosen first
    vectors = {item.image_id: item.vector for item in some}

    def nearest_pair(hits: list[pb.Hit]) -> float:
        rows = np.stack([vectors[hit.image_id] for hit in hits[:15]])
        return float(np.triu(rows @ rows.T, k=1).max())

    assert nearest_pair(spread) < nearest_pair(plain) - 0.1
    browsed = hits_of(await all_pages(service, diversity=0.7, limit=50, terms=[], space=""))
    assert {hit.image_id for hit in browsed} == set(scores)
    assert not any(hit.HasField("score") for hit in browsed)


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
async def test_diversity_is_bounded(service: SearchService, diversity: float) -> None:
    with pytest.raises(InvalidArgument, match="diversity"):
        await ask(service, diversity=diversity)
