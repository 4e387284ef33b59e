"""Contract of the VectorStore port, on every adapter; LanceDB without indexes (small) and with all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.vector_fake import MemoryVectorStore

from kindred_kit.errors import InvalidArgument
from kindred_search import labels
from kindred_search.domain import Detection
from kindred_search.labels import LabelTerm
from kindred_search.vectors.evaluate import passes
from kindred_search.vectors.lancedb_store import LanceDbStore, Tuning
from kindred_search.vectors.port import And, Compare, HasAny, IndexFilter, Not, OneOf, Or, Row, VectorStore

ADAPTERS: dict[str, Callable[[Path], VectorStore]] = {
    "fake": lambda folder: MemoryVectorStore(),
    "lancedb-flat": lambda folder: LanceDbStore(folder / "vectors"),
    "lancedb-indexed": lambda folder: LanceDbStore(
        folder / "vectors", Tuning(scalar_index_rows=1, vector_index_rows=256)
    ),
}
DIMENSION = 16
EVERYTHING = And(())


@pytest.fixture(params=ADAPTERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorStore]:
    store = ADAPTERS[request.param](tmp_path)
    await store.create("c", DIMENSION)
    yield store
    await store.aclose()


def random_unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    values = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def make_row(number: int, vector: NDArray[np.float32], version: int = 1) -> Row:
    access = ("public", "o:a") if number % 3 else ("o:b",)
    found = tuple(f"coco-80:{c}#1@{number % 21}" for c in range(number % 4))
    sizes = {"width": 100 * (number % 10), "height": 50, "ingested_at_ms": 1_700_000_000_000 + number}
    origin = "generated" if number % 5 == 0 else "photo"
    generation = (f"model:m{number % 3}", "word:fox") if number % 5 == 0 else ()
    return Row(f"{number:064x}", vector, version, access, found, origin, "jpeg", **sizes, generation=generation)


def make_rows(count: int, first: int = 0) -> list[Row]:
    vectors = random_unit(np.random.default_rng(first + 1), count)
    return [make_row(first + n, vectors[n]) for n in range(count)]


def expected(rows: list[Row], query: NDArray[np.float32], where: IndexFilter, top_k: int) -> list[str]:
    allowed = [row for row in rows if passes(row, where)]
    return [row.image_id for row in sorted(allowed, key=lambda row: -float(row.vector @ query))[:top_k]]


async def ids(store: VectorStore, query: NDArray[np.float32], where: IndexFilter, top_k: int) -> list[str]:
    return [hit.image_id for hit in await store.search("c", query, top_k, where)]


async def test_hits_are_the_nearest_by_cosine_best_first(store: VectorStore) -> None:
    rows = make_rows(300)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    query = rows[7].vector
    hits = await store.search("c", query, 10, EVERYTHING)
    assert [hit.image_id for hit in hits] == expected(rows, query, EVERYTHING, 10)
    by_id = {row.image_id: row.vector for row in rows}
    for hit in hits:
        assert hit.score == pytest.approx(float(by_id[hit.image_id] @ query), abs=1e-5)
    assert hits[0].score == pytest.approx(1.0, abs=1e-6)


async def test_scores_reach_down_to_minus_one(store: VectorStore) -> None:
    row = make_rows(1)[0]
    await store.upsert("c", [row])
    [hit] = await store.search("c", -row.vector, 5, EVERYTHING)
    assert hit.score == pytest.approx(-1.0, abs=1e-6)


FILTERS: dict[str, IndexFilter] = {
    "tokens": HasAny("access", ("public", "o:c")),
    "no token": HasAny("labels", ()),
    "not": Not(HasAny("labels", ("coco-80:1#1@3", "coco-80:1#1@4", "coco-80:1#1@5"))),
    "not everything": Not(HasAny("access", ("public", "o:b"))),
    "model": HasAny("generation", ("model:m1", "model:m7")),
    "words": And((HasAny("generation", ("word:fox", "word*")), Not(HasAny("generation", ("model:m0",))))),
    "text": OneOf("origin", ("generated", "drawn")),
    "no text": OneOf("format", ()),
    "number": And((Compare("width", "gte", 300), Compare("width", "lte", 500))),
    "time": Compare("ingested_at_ms", "lte", 1_700_000_000_050),
    "large number": Compare("width", "lte", 2**53),
    "nested": And(
        (
            HasAny("access", ("public",)),
            Or(
                (
                    Not(OneOf("origin", ("photo",))),
                    And((HasAny("labels", ("coco-80:2#1@7",)), Compare("height", "gte", 50))),
                )
            ),
        )
    ),
    "empty or": Or(()),
    "empty and": And(()),
    "not empty or": Not(Or(())),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_means_what_its_definition_says(store: VectorStore, name: str) -> None:
    rows = make_rows(300)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    query = random_unit(np.random.default_rng(99), 1)[0]
    truth = expected(rows, query, FILTERS[name], 300)
    assert await ids(store, query, FILTERS[name], 300) == truth
    passing = await store.passing("c", FILTERS[name], 300)
    assert sorted(passing) == sorted(truth)
    some = await store.passing("c", FILTERS[name], 20)
    assert len(set(some)) == len(some) == min(20, len(truth))
    assert set(some) <= set(truth)


HOSTILE = [
    "') OR true --",
    "'; DROP TABLE c; --",
    "a' OR 'a'='a",
    "\\",
    "\\'",
    "''",
    "%",
    "$(x)",
    "\x00",
    "日本",
    '"',
    "`",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_texts_are_data_never_code(store: VectorStore, text: str) -> None:
    rows = make_rows(20)
    marked = replace(rows[3], access=(text,), labels=(text,), origin=text, format=text, generation=(text,))
    await store.upsert("c", [*rows[:3], marked, *rows[4:]])
    await store.build_indexes("c")
    for where in (
        HasAny("access", (text,)),
        HasAny("labels", (text,)),
        HasAny("generation", (text,)),
        OneOf("origin", (text,)),
        OneOf("format", (text,)),
    ):
        assert await ids(store, marked.vector, where, 20) == [marked.image_id]
    assert len(await ids(store, marked.vector, Not(HasAny("access", (text,))), 20)) == 19
    await store.delete("c", [text])
    assert await store.count("c") == 20


async def test_an_upsert_replaces_the_whole_row(store: VectorStore) -> None:
    rows = make_rows(300)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    changed = replace(make_row(5, -rows[5].vector, version=2), access=("o:z",), labels=())
    await store.upsert("c", [changed, *make_rows(2, first=1000)])
    assert await store.count("c") == 302
    assert await store.versions("c", [rows[4].image_id, rows[5].image_id, "unknown"]) == {
        rows[4].image_id: 1,
        rows[5].image_id: 2,
    }
    assert await ids(store, -rows[5].vector, HasAny("access", ("o:z",)), 5) == [rows[5].image_id]
    assert rows[5].image_id not in await ids(store, rows[5].vector, HasAny("access", ("public", "o:a", "o:b")), 300)


async def test_what_is_written_while_others_read_for_the_first_time_is_seen(store: VectorStore) -> None:
    row = make_rows(1)[0]
    for n in range(10):
        name = f"fresh-{n}"
        await store.create(name, DIMENSION)
        await asyncio.gather(store.upsert(name, [row]), store.count(name), store.versions(name, [row.image_id]))
        assert [hit.image_id for hit in await store.search(name, row.vector, 5, EVERYTHING)] == [row.image_id]


async def test_the_same_image_twice_in_one_upsert_is_the_later_one(store: VectorStore) -> None:
    row = make_rows(1)[0]
    await store.upsert("c", [row, replace(row, row_version=2)])
    assert await store.count("c") == 1
    assert await store.versions("c", [row.image_id]) == {row.image_id: 2}


async def test_a_deleted_row_is_gone_also_from_the_indexes(store: VectorStore) -> None:
    rows = make_rows(300)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    await store.delete("c", [rows[0].image_id, "unknown"])
    await store.delete("c", [])
    assert await store.count("c") == 299
    assert rows[0].image_id not in await ids(store, rows[0].vector, EVERYTHING, 300)


async def test_rows_that_no_index_knows_yet_are_found(store: VectorStore) -> None:
    rows = make_rows(300)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    later = make_rows(40, first=300)
    await store.upsert("c", later)
    for where in (EVERYTHING, HasAny("access", ("public",)), Not(HasAny("labels", ("coco-80:0#1@1",)))):
        assert await ids(store, later[1].vector, where, 50) == expected(rows + later, later[1].vector, where, 50)
    await store.optimize("c")
    assert await ids(store, later[1].vector, EVERYTHING, 50) == expected(rows + later, later[1].vector, EVERYTHING, 50)


async def test_fewer_hits_only_if_no_more_pass(store: VectorStore) -> None:
    """Also where the filter lets pass only rows far away from the query, which a graph walk would not reach."""
    rows = make_rows(600)
    query = rows[0].vector
    by_score = sorted(rows, key=lambda row: float(row.vector @ query))
    far = {row.image_id for row in by_score[:60]}
    marked = [replace(row, labels=("far:1#1@1",) if row.image_id in far else ()) for row in rows]
    await store.upsert("c", marked)
    await store.build_indexes("c")
    for top_k in (10, 60, 100, 200, 201, 600):
        found = await ids(store, query, HasAny("labels", ("far:1#1@1",)), top_k)
        assert found == expected(marked, query, HasAny("labels", ("far:1#1@1",)), top_k)


async def test_a_very_long_list_is_complete_and_in_order(store: VectorStore) -> None:
    rows = make_rows(5_000)
    await store.upsert("c", rows)
    await store.build_indexes("c")
    query = random_unit(np.random.default_rng(98), 1)[0]
    public = HasAny("access", ("public",))
    for top_k in (2_500, 100_000):
        assert await ids(store, query, public, top_k) == expected(rows, query, public, top_k)
    assert await ids(store, query, EVERYTHING, 100_000) == expected(rows, query, EVERYTHING, 100_000)


async def test_collections_are_made_and_dropped(store: VectorStore) -> None:
    await store.create("c", DIMENSION)
    await store.create("whole-1234-g2", DIMENSION)
    assert sorted(await store.names()) == ["c", "whole-1234-g2"]
    await store.upsert("whole-1234-g2", make_rows(3))
    assert await store.count("c") == 0
    await store.drop("whole-1234-g2")
    await store.drop("whole-1234-g2")
    assert list(await store.names()) == ["c"]
    with pytest.raises(InvalidArgument, match="no collection"):
        await store.count("whole-1234-g2")
    await store.create("whole-1234-g2", DIMENSION)
    assert await store.count("whole-1234-g2") == 0


async def test_an_empty_collection_answers_nothing(store: VectorStore) -> None:
    await store.upsert("c", [])
    await store.build_indexes("c")
    await store.optimize("c")
    assert await ids(store, random_unit(np.random.default_rng(0), 1)[0], EVERYTHING, 5) == []
    assert await store.passing("c", EVERYTHING, 5) == []
    assert await store.versions("c", []) == {}


async def test_label_filters_agree_with_brute_force(store: VectorStore) -> None:
    """Decision 10: tokens miss nothing that meets the terms, and are exact where the threshold is a bucket's edge."""
    rng = np.random.default_rng(4)
    vectors = random_unit(rng, 400)
    detections = [_random_detections(rng) for _ in range(400)]
    rows = [replace(make_row(n, vectors[n]), labels=labels.tokens(detections[n])) for n in range(400)]
    await store.upsert("c", rows)
    await store.build_indexes("c")
    on_edge = inexact = 0
    for _ in range(60):
        all_of, any_of, none_of = ([_random_term(rng) for _ in range(rng.integers(0, 3))] for _ in range(3))
        found = set(await ids(store, vectors[0], labels.candidates(all_of, any_of, none_of), 400))
        truth = {
            row.image_id
            for row, of_row in zip(rows, detections, strict=True)
            if all(labels.holds(term, of_row) for term in all_of)
            and (not any_of or any(labels.holds(term, of_row) for term in any_of))
            and not any(labels.holds(term, of_row) for term in none_of)
        }
        assert truth <= found
        if all(term.exact for term in (*all_of, *any_of, *none_of)):
            on_edge += 1
            assert truth == found
        else:
            inexact += 1
    assert on_edge >= 5
    assert inexact >= 5


def _random_detections(rng: np.random.Generator) -> list[Detection]:
    count = int(rng.integers(0, 12))
    scores = [float(np.float32(rng.choice([rng.random(), rng.integers(0, 21) / 20]))) for _ in range(count)]
    return [Detection("coco-80", "m", "1", int(rng.integers(0, 4)), "c", s, (0, 0, 1, 1), "single", 1) for s in scores]


def _random_term(rng: np.random.Generator) -> LabelTerm:
    min_score = float(np.float32(rng.integers(0, 21) / 20 if rng.random() < 0.7 else rng.random()))
    return LabelTerm("coco-80", int(rng.integers(0, 4)), "c", min_score, int(rng.integers(1, 6)))


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_private_row_is_hidden_though_all_before_it_were_public(tmp_path: Path, reopened: bool) -> None:
    """LanceDB's adapter leaves out a filter that every row passes; the first row that does not brings it back."""
    store = LanceDbStore(tmp_path / "vectors")
    await store.create("c", DIMENSION)
    rows = [replace(row, access=("public", "o:a")) for row in make_rows(5)]
    await store.upsert("c", rows)
    seen = HasAny("access", ("public", "o:b"))
    assert len(await ids(store, rows[0].vector, seen, 10)) == 5
    if reopened:
        await store.aclose()
        store = LanceDbStore(tmp_path / "vectors")
        assert len(await ids(store, rows[0].vector, seen, 10)) == 5
    await store.upsert("c", [replace(rows[0], access=("o:a",), row_version=2)])
    assert set(await ids(store, rows[0].vector, seen, 10)) == {row.image_id for row in rows[1:]}
    await store.aclose()
