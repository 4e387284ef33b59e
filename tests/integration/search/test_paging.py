"""Pages: no hit twice, none lost, and cursors that say what is wrong with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from support.search_service import SPACE, SearchService, embedding, image_id, new_image, unit, vector

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import CursorInvalid, CursorStale, CursorTooDeep
from kindred_search.catalogue.deriving import put_derived
from kindred_search.convert import derived
from kindred_search.convert import new_image as to_new_image
from kindred_search.vectors.lancedb_store import Tuning


async def fill(service: SearchService, count: int) -> list[str]:
    """Many images in few transactions; returns their ids, nearest to vector("q") first."""
    centre, rng = vector("q"), np.random.default_rng(3)
    names = [f"image {n}" for n in range(count)]
    for start in range(0, count, 500):
        images = [to_new_image(new_image(name)) for name in names[start : start + 500]]
        await service.app.catalogue.accept("local", images)

    def derive_all(connection: object) -> None:
        for n, name in enumerate(names):
            values = unit(centre + 0.002 * (n + 1) * unit(rng.standard_normal(16)))
            found = pb.Derived.ViewEmbedding(view="whole", space=SPACE, embedding=embedding(values))
            put_derived(connection, derived(pb.Derived(image_id=image_id(name), seq=1, embeddings=[found])))  # type: ignore[arg-type]

    await service.app.catalogue.write(derive_all)
    await service.settle()
    return [image_id(name) for name in names]


@pytest.fixture(params=["flat", "indexed"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchService]:
    tuning = Tuning(scalar_index_rows=100, vector_index_rows=1000) if request.param == "indexed" else Tuning()
    async with SearchService(tmp_path, tuning=tuning) as running:
        yield running


async def test_a_thousand_hits_in_pages_without_a_double(service: SearchService) -> None:
    await fill(service, 1200)
    await service.vectors.build_indexes((await service.status()).index_version)
    page = await service.search("q", limit=37)
    assert (page.total, page.total_is_lower_bound) == (38, True)
    hits = list(page.hits)
    while len(hits) < 1000:
        page = await service.search("q", limit=37, cursor=page.next_cursor)
        assert (page.total, page.total_is_lower_bound) == (1000, True)
        hits += page.hits
    ids, scores = [hit.image_id for hit in hits], [hit.score for hit in hits]
    assert len(ids) == 1000
    assert len(set(ids)) == 1000
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(CursorTooDeep, match="1000"):
        await service.search("q", limit=37, cursor=page.next_cursor)


async def test_a_page_answers_the_same_again_while_images_come_and_go(service: SearchService) -> None:
    ids = await fill(service, 60)
    first = await service.search("q", limit=20)
    second = await service.search("q", limit=20, cursor=first.next_cursor)
    await service.add("newcomer", values=vector("q"))
    again = await service.search("q", limit=20, cursor=first.next_cursor)
    assert [hit.image_id for hit in again.hits] == [hit.image_id for hit in second.hits]
    gone = second.hits[3].image_id
    request = pb.DeleteImagesRequest(principal=pb.Principal(owner="local"), image_ids=[gone])
    await service.stub.DeleteImages(request)
    refilled = await service.search("q", limit=20, cursor=first.next_cursor)
    assert len(refilled.hits) == 20
    assert gone not in [hit.image_id for hit in refilled.hits]
    third = await service.search("q", limit=20, cursor=refilled.next_cursor)
    seen = [hit.image_id for page in (first, refilled, third) for hit in page.hits]
    assert len(seen) == len(set(seen)) == 59
    assert set(seen) == set(ids) - {gone}
    assert third.next_cursor == ""


async def test_an_image_that_comes_after_page_one_does_not_shift_the_others(service: SearchService) -> None:
    ids = await fill(service, 30)
    first = await service.search("q", limit=10)
    await service.add("newcomer", values=vector("q"))
    rest = await service.search("q", limit=100, cursor=first.next_cursor)
    seen = [hit.image_id for page in (first, rest) for hit in page.hits]
    assert len(seen) == len(set(seen))
    assert set(ids) <= set(seen)


async def test_the_next_cursor_ends_with_the_hits(service: SearchService) -> None:
    await fill(service, 20)
    page = await service.search("q", limit=20)
    assert (len(page.hits), page.next_cursor, page.total, page.total_is_lower_bound) == (20, "", 20, False)


async def test_a_cursor_needs_neither_terms_nor_filter_and_keeps_them(service: SearchService) -> None:
    await fill(service, 30)
    wanted = pb.Filter(conditions=[pb.Condition(field="width", operator=pb.OPERATOR_EQ, values=[pb.Value(number=640)])])
    first = await service.search("q", limit=10, filter=wanted)
    fields = {"terms": [], "space": "", "query_digest": ""}
    second = await service.search("q", limit=10, cursor=first.next_cursor, **fields)
    assert len(second.hits) == 10


@pytest.mark.parametrize("cursor", ["x", "AAAA", "!", "é", "A" * 26, "A" * 5000, "%%%", "' OR 1=1"])
async def test_what_is_no_cursor_is_refused(service: SearchService, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await service.search("q", cursor=cursor)


async def test_a_cursor_of_another_query_is_refused(service: SearchService) -> None:
    await fill(service, 10)
    page = await service.search("q", limit=2, query_digest="one")
    with pytest.raises(CursorInvalid, match="another query"):
        await service.search("q", limit=2, query_digest="two", cursor=page.next_cursor)


async def test_a_cursor_is_stale_after_a_restart(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await fill(service, 10)
        page = await service.search("q", limit=2)
    async with SearchService(tmp_path) as service:
        with pytest.raises(CursorStale):
            await service.search("q", limit=2, cursor=page.next_cursor)


async def test_ingest_makes_no_cursor_stale_but_a_reindex_does(service: SearchService) -> None:
    await fill(service, 10)
    page = await service.search("q", limit=2)
    await service.add("newcomer")
    page = await service.search("q", limit=2, cursor=page.next_cursor)
    async for _ in service.stub.Reindex(pb.ReindexRequest()):
        pass
    with pytest.raises(CursorStale, match="rebuilt"):
        await service.search("q", limit=2, cursor=page.next_cursor)
