"""Long ranked lists and many embeddings: what a job asks for, against brute force."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import gallery
from support.gallery import OWNERS, Item
from support.search_service import DIMENSION, SPACE, SearchService, embedding, image_id, unit, vector

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import ImageNotFound, InvalidArgument, SpaceMismatch, UnknownLabel
from kindred_search.vectors.lancedb_store import Tuning

COUNT = 1_300
PRINCIPALS = {name: pb.Principal(owner=name) for name in (*OWNERS, "stranger")}


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return gallery.make_items(COUNT)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SearchService]:
    """With every index that the store knows, HNSW too."""
    async with SearchService(tmp_path, tuning=Tuning(scalar_index_rows=100, vector_index_rows=1_000)) as running:
        yield running


async def collect(service: SearchService, owner: str = "ada", **fields: Any) -> list[pb.CollectResponse.Item]:
    request = pb.CollectRequest(principal=PRINCIPALS[owner], **{"limit": 100_000, **fields})
    found: list[pb.CollectResponse.Item] = []
    async for part in service.stub.Collect(request):
        assert 1 <= len(part.items) <= 1_000
        found += part.items
    return found


def like(values: np.ndarray) -> dict[str, Any]:
    return {"terms": [pb.Term(embedding=embedding(values), weight=1)], "space": SPACE}


async def test_a_long_list_is_what_brute_force_finds_for_every_filter(
    service: SearchService, items: list[Item]
) -> None:
    await gallery.put(service, items)
    rng = np.random.default_rng(1)
    query = unit(rng.standard_normal(DIMENSION))
    long_lists = inexact = 0
    for n in range(40):
        wanted = pb.Filter() if n == 0 else gallery.random_filter(rng)
        owner = ("ada", "bo", "stranger")[n % 3]
        limit = (100_000, 25)[n % 2]
        expected = sorted(gallery.passing(items, owner, wanted), key=lambda item: -float(item.vector @ query))[:limit]
        found = await collect(service, owner, filter=wanted, limit=limit, **like(query))
        assert [item.image_id for item in found] == [item.image_id for item in expected]
        for hit, item in zip(found, expected, strict=True):
            assert hit.score == pytest.approx(float(item.vector @ query), abs=1e-5)
        long_lists += len(found) > 500
        inexact += any(term.min_score * 20 % 1 for term in (*wanted.labels_all, *wanted.labels_none))
    assert long_lists >= 3
    assert inexact >= 10


async def test_without_terms_what_passes_comes_newest_first(service: SearchService, items: list[Item]) -> None:
    await gallery.put(service, items[:400])
    rng = np.random.default_rng(2)
    seen = 0
    for n in range(60):
        wanted = pb.Filter() if n == 0 else gallery.random_filter(rng)
        owner = ("ada", "bo", "stranger")[n % 3]
        found = await collect(service, owner, filter=wanted)
        expected = {item.image_id for item in gallery.passing(items[:400], owner, wanted)}
        assert {hit.image_id for hit in found} == expected
        assert len(found) == len(expected)
        assert not any(hit.HasField("score") for hit in found)
        seen += len(found)
    assert seen > 1_000
    newest = await service.add("newest", owner="ada")
    newer = await service.add("newer still", owner="ada")
    found = await collect(service, "ada", limit=5)
    assert [hit.image_id for hit in found[:2]] == [newer, newest]
    assert len(found) == 5


async def test_what_is_excluded_deleted_or_too_far_is_not_collected(service: SearchService, items: list[Item]) -> None:
    some = items[:50]
    await gallery.put(service, some)
    query = vector("q")
    everything = await collect(service, "ada", **like(query))
    without = [hit.image_id for hit in everything[:3]]
    found = await collect(service, "ada", exclude_ids=without, limit=5, **like(query))
    assert [hit.image_id for hit in found] == [hit.image_id for hit in everything[3:8]]
    newest = await collect(service, "ada", exclude_ids=without, limit=100_000)
    assert {hit.image_id for hit in newest} == {hit.image_id for hit in everything[3:]}
    near = await collect(service, "ada", min_score=everything[9].score, **like(query))
    assert [hit.image_id for hit in near] == [hit.image_id for hit in everything[:10]]
    gone = next(item for item in some if list(item.claims) == ["ada"])
    await service.delete(gone.name, owner="ada")
    for terms in ({}, like(query)):  # the projector may or may not know of it yet
        assert gone.image_id not in {hit.image_id for hit in await collect(service, "ada", **terms)}


async def test_an_id_as_term_names_no_space(service: SearchService, items: list[Item]) -> None:
    await gallery.put(service, items[:50])
    seen = gallery.passing(items[:50], "ada", pb.Filter())
    found = await collect(service, "ada", terms=[pb.Term(image_id=seen[0].image_id, weight=1)])
    assert found[0].image_id == seen[0].image_id
    hidden = next(item for item in items[:50] if item.license_for("ada") is None)
    with pytest.raises(ImageNotFound):
        await collect(service, "ada", terms=[pb.Term(image_id=hidden.image_id, weight=1)])


async def test_bad_requests_are_named(service: SearchService) -> None:
    assert await collect(service, "ada", **like(vector("q"))) == []  # nothing is indexed yet
    await service.add("a", owner="ada")
    for limit in (0, -1, 100_001):
        with pytest.raises(InvalidArgument, match="limit"):
            await collect(service, "ada", limit=limit)
    with pytest.raises(InvalidArgument, match="min_score needs a query"):
        await collect(service, "ada", min_score=0.5)
    with pytest.raises(SpaceMismatch):
        await collect(service, "ada", **{**like(vector("q")), "space": "another"})
    with pytest.raises(UnknownLabel):
        await collect(service, "ada", filter=pb.Filter(labels_all=[pb.LabelTerm(class_name="violin")]))


async def embeddings(
    service: SearchService, ids: list[str], owner: str = "ada", **fields: Any
) -> tuple[list[str], np.ndarray]:
    request = pb.GetEmbeddingsRequest(principal=PRINCIPALS[owner], image_ids=ids, **fields)
    found: list[str] = []
    parts: list[np.ndarray] = []
    async for part in service.stub.GetEmbeddings(request):
        found += part.image_ids
        parts.append(np.frombuffer(part.vectors, "<f2").reshape(len(part.image_ids), part.dimension))
    return found, np.concatenate(parts) if parts else np.zeros((0, 0), np.float16)


async def test_embeddings_come_in_the_order_asked_and_only_what_may_be_seen(
    service: SearchService, items: list[Item]
) -> None:
    await gallery.put(service, items)
    asked = [items[n] for n in np.random.default_rng(3).permutation(COUNT)]
    ids = [image_id("unknown"), *(item.image_id for item in asked), asked[0].image_id]
    for owner in PRINCIPALS:
        seen = [item for item in asked if item.license_for(owner) is not None]
        found, vectors = await embeddings(service, ids, owner, space=SPACE)
        assert found == [item.image_id for item in seen]
        assert vectors.dtype == np.float16
        np.testing.assert_allclose(vectors.astype(np.float32), [item.vector for item in seen], atol=1e-3)
    assert 0 < len(seen) < COUNT


async def test_embeddings_of_another_space_or_view_or_too_many(service: SearchService) -> None:
    assert (await embeddings(service, [image_id("a")]))[0] == []  # nothing is indexed yet
    a = await service.add("a", owner="ada")
    assert (await embeddings(service, [a]))[0] == [a]
    assert (await embeddings(service, [a], view="whole"))[0] == [a]
    assert (await embeddings(service, [a], view="object:1"))[0] == []
    with pytest.raises(SpaceMismatch):
        await embeddings(service, [a], space="another")
    with pytest.raises(InvalidArgument, match="10,000"):
        await embeddings(service, [a] * 10_001)
    with pytest.raises(InvalidArgument, match="64 hex"):
        await embeddings(service, ["../etc/passwd"])


async def test_a_list_of_ids_is_filtered_in_its_order(service: SearchService, items: list[Item]) -> None:
    await gallery.put(service, items)
    rng = np.random.default_rng(2)
    asked = [items[n].image_id for n in rng.permutation(len(items))[:150]]
    for n in range(10):
        wanted, owner = (pb.Filter() if n == 0 else gallery.random_filter(rng)), ("ada", "bo", "stranger")[n % 3]
        passing = {item.image_id for item in gallery.passing(items, owner, wanted)}
        found = await collect(service, owner, filter=wanted, among_ids=asked, exclude_ids=asked[:1])
        assert [item.image_id for item in found] == [i for i in asked[1:] if i in passing]
        assert not any(item.HasField("score") for item in found)
    with pytest.raises(InvalidArgument):
        await collect(service, among_ids=asked, **like(vector("x")))
