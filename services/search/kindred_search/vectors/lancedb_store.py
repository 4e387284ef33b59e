"""VectorStore on LanceDB, embedded: one table for each collection under one folder."""

import asyncio
import importlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import IndexDamaged, InvalidArgument
from kindred_kit.telemetry import FALLBACKS, get_logger
from kindred_search.vectors.lancedb_filters import in_list, to_sql, without_what_always_holds
from kindred_search.vectors.port import And, HasAny, IndexFilter, IndexHit, Not, Row

_NAME = re.compile(r"[a-z0-9_-]{1,200}")
_TOKEN_COLUMNS = ("access", "labels", "generation")
_TEXT_COLUMNS = ("origin", "format")
_NUMBER_COLUMNS = ("width", "height", "ingested_at_ms")
_KEEP_VERSIONS = timedelta(minutes=5)
"""How long a replaced file stays for a search that still reads it."""

_DELETE_CHUNK = 500

_DAMAGE = re.compile(
    r"schema error|not found|sufficient data|whole buffer|invalid range|unable to walk dir|corrupt|magic|decode"
    r"|doesn't match the column",
    re.IGNORECASE,
)
"""Words of LanceDB's errors for files that are gone, cut or of another schema. A full disk says none of them."""

_REFINED_HITS = 200
"""Longer lists have enough candidates of their own; their scores are exact all the same."""

_LONGEST_WALK = 2_000
"""Longer lists are faster, and complete, by scanning all vectors: of 60,000 rows the 5,000 nearest took 44 ms either
way, the 20,000 nearest 75 ms instead of 134, and the graph had missed 1 to 2 % of them."""


@dataclass(frozen=True)
class Tuning:
    """When indexes are built and how broadly they are searched; measured on 100k vectors of 768 dimensions."""

    scalar_index_rows: int = 2_000
    """From here on a filter scan costs more than a lookup."""

    vector_index_rows: int = 20_000
    """Below, scanning all vectors takes under 20 ms and is exact."""

    ef: int = 300
    """Search breadth of HNSW; below 200 a filter that lets half of the rows pass costs recall."""

    refine: int = 5
    """Candidates for each hit that are scored again with full vectors, since the index holds 8-bit ones."""


class LanceDbStore:
    """`folder` is made at the first use; LanceDB itself is imported then too, since that takes seconds."""

    def __init__(self, folder: Path, tuning: Tuning | None = None) -> None:
        self._folder = folder
        self._tuning = tuning or Tuning()
        self._database: Any = None
        self._tables: dict[str, Any] = {}
        self._with_vector_index: set[str] = set()
        self._access_everywhere: dict[str, frozenset[str] | None] = {}  # None: there is no row yet
        self._opening = asyncio.Lock()
        self._building = asyncio.Lock()
        self._log = get_logger("search")

    async def create(self, collection: str, dimension: int) -> None:
        database = await self._connect()
        pa = importlib.import_module("pyarrow")
        texts = pa.list_(pa.string())
        fields = [("image_id", pa.string()), ("vector", pa.list_(pa.float32(), dimension)), ("row_version", pa.int64())]
        fields += [(name, texts) for name in _TOKEN_COLUMNS]
        fields += [(name, pa.string()) for name in _TEXT_COLUMNS]
        fields += [(name, pa.int64()) for name in _NUMBER_COLUMNS]  # wide, so that any bound can be compared
        with _damage():
            await database.create_table(_checked(collection), schema=pa.schema(fields), exist_ok=True)

    async def drop(self, collection: str) -> None:
        database = await self._connect()
        self._tables.pop(collection, None)
        self._with_vector_index.discard(collection)
        self._access_everywhere.pop(collection, None)
        await database.drop_table(_checked(collection), ignore_missing=True)

    async def names(self) -> Sequence[str]:
        database = await self._connect()
        found: list[str] = []
        page_token = None
        while True:
            page = await database.list_tables(page_token=page_token)
            found += page.tables
            page_token = page.page_token
            if not page_token:
                return found

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        table = await self._table(collection)
        newest = list({row.image_id: row for row in rows}.values())
        # before the rows are there: no search may take a token for granted that one of them has not
        held = [self._access_everywhere[collection], *(frozenset(row.access) for row in newest)]
        self._access_everywhere[collection] = frozenset.intersection(*(tokens for tokens in held if tokens is not None))
        columns = await asyncio.to_thread(_columns, newest)
        merge = table.merge_insert("image_id").when_matched_update_all().when_not_matched_insert_all()
        with _damage():
            await merge.execute(importlib.import_module("pyarrow").table(columns, schema=await table.schema()))

    async def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        table = await self._table(collection)
        for start in range(0, len(image_ids), _DELETE_CHUNK):
            with _damage():
                await table.delete(in_list(list(image_ids[start : start + _DELETE_CHUNK])))

    async def search(
        self, collection: str, vector: NDArray[np.float32], top_k: int, where: IndexFilter
    ) -> Sequence[IndexHit]:
        table = await self._table(collection)
        query = table.query().nearest_to(vector).column("vector").distance_type("cosine").limit(top_k)
        needed = without_what_always_holds(where, self._access_everywhere[collection] or frozenset())
        if needed != And(()):
            query = query.where(to_sql(needed))
        query = query.select(["image_id", "_distance"])
        if collection in self._with_vector_index and top_k > _LONGEST_WALK:
            query = query.bypass_vector_index()
        elif collection in self._with_vector_index:
            refine = self._tuning.refine if top_k <= _REFINED_HITS else 1
            breadth = max(self._tuning.ef, top_k * refine, top_k * 3 // 2)  # LanceDB wants at least a step a candidate
            query = query.ef(breadth).refine_factor(refine)
        with _damage():
            found = await query.to_arrow()
        return await asyncio.to_thread(_hits, found) if top_k > _LONGEST_WALK else _hits(found)

    async def passing(self, collection: str, where: IndexFilter, limit: int) -> Sequence[str]:
        table = await self._table(collection)
        with _damage():
            found = await table.query().where(to_sql(where)).select(["image_id"]).limit(limit).to_arrow()
        ids: list[str] = found["image_id"].to_pylist()
        return ids

    async def count(self, collection: str) -> int:
        table = await self._table(collection)
        with _damage():
            return int(await table.count_rows())

    async def versions(self, collection: str, image_ids: Sequence[str]) -> dict[str, int]:
        table = await self._table(collection)
        if not image_ids:
            return {}
        query = table.query().where(in_list(list(image_ids))).select(["image_id", "row_version"])
        with _damage():
            found = await query.to_arrow()
        return dict(zip(found["image_id"].to_pylist(), found["row_version"].to_pylist(), strict=True))

    async def build_indexes(self, collection: str) -> None:
        table = await self._table(collection)
        async with self._building:  # two at once would build the same index and one would fail
            for column, config in (await self._missing_indexes(table)).items():
                started = time.perf_counter()
                await table.create_index(column, config=config)
                if column == "vector":
                    self._with_vector_index.add(collection)
                seconds = round(time.perf_counter() - started, 2)
                self._log.info("index built", collection=collection, column=column, seconds=seconds)

    async def _missing_indexes(self, table: Any) -> dict[str, Any]:
        """Column -> configuration of each index that the table is large enough for and has not got."""
        lance_index = importlib.import_module("lancedb.index")
        built = {column for index in await table.list_indices() for column in index.columns}
        row_count = await table.count_rows()
        wanted: dict[str, Any] = {}
        if row_count >= self._tuning.scalar_index_rows:
            wanted |= {column: lance_index.LabelList() for column in _TOKEN_COLUMNS}
            wanted |= {column: lance_index.Bitmap() for column in _TEXT_COLUMNS}
            wanted |= {column: lance_index.BTree() for column in ("image_id", *_NUMBER_COLUMNS)}
        if row_count >= self._tuning.vector_index_rows:
            wanted["vector"] = lance_index.HnswSq(distance_type="cosine")
        return {column: config for column, config in wanted.items() if column not in built}

    async def optimize(self, collection: str) -> None:
        table = await self._table(collection)
        try:
            await table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        except RuntimeError as error:
            if "commit conflict" not in str(error):
                raise
            # an index that was being built got in between; the next round merges what is left
            FALLBACKS.labels("search", "index_optimize_conflict").inc()
            self._log.info("index not tidied up: it was written to meanwhile", collection=collection)

    async def aclose(self) -> None:
        for table in self._tables.values():
            table.close()
        self._tables.clear()
        if self._database is not None:
            self._database.close()

    async def _connect(self) -> Any:
        async with self._opening:
            if self._database is None:
                # its scan warnings speak of our own deliberate flat scans
                os.environ.setdefault("LANCE_LOG", "error")
                os.environ.setdefault("LANCEDB_LOG", "error")
                lancedb = await asyncio.to_thread(importlib.import_module, "lancedb")
                await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
                self._database = await lancedb.connect_async(str(self._folder))
        return self._database

    async def _table(self, collection: str) -> Any:
        table = self._tables.get(_checked(collection))
        return table if table is not None else await self._open(collection)

    async def _open(self, collection: str) -> Any:
        database = await self._connect()
        async with self._opening:
            # a handle sees its own writes alone: were there two, what one has written would stay hidden from the other
            if collection in self._tables:
                return self._tables[collection]
            with _damage():
                try:
                    table = await database.open_table(collection)
                except ValueError as error:
                    raise InvalidArgument(f"the index has no collection {collection}") from error
                if not {*_TOKEN_COLUMNS, *_TEXT_COLUMNS, *_NUMBER_COLUMNS} <= set((await table.schema()).names):
                    raise IndexDamaged("the index was written by an earlier version; it is built anew")
            if any("vector" in index.columns for index in await table.list_indices()):
                self._with_vector_index.add(collection)
            with _damage():
                self._access_everywhere[collection] = await _access_everywhere(table)
            self._tables[collection] = table
            return table


async def _access_everywhere(table: Any) -> frozenset[str] | None:
    """Access tokens that every row has; None where there is no row."""
    rows = (await table.query().select(["access"]).limit(1).to_arrow())["access"].to_pylist()
    if not rows:
        return None
    return frozenset([t for t in rows[0] if not await table.count_rows(to_sql(Not(HasAny("access", (t,)))))])


@contextmanager
def _damage() -> Iterator[None]:
    """LanceDB's errors for damaged files become IndexDamaged; its words stay for the log, since they hold paths."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        if not _DAMAGE.search(str(error)):
            raise
        raise IndexDamaged("the index is damaged; it is built anew from the catalogue, which lost nothing") from error


def _checked(collection: str) -> str:
    if not _NAME.fullmatch(collection):
        raise InvalidArgument(f"not a collection name: {collection[:80]!r}")
    return collection


def _hits(found: Any) -> list[IndexHit]:
    both = zip(found["image_id"].to_pylist(), found["_distance"].to_pylist(), strict=True)
    return [IndexHit(image_id, max(-1.0, min(1.0, 1.0 - distance))) for image_id, distance in both]


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    pa = importlib.import_module("pyarrow")
    matrix = np.stack([row.vector for row in rows]).astype(np.float32)
    return {
        "image_id": [row.image_id for row in rows],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1]),
        "row_version": [row.row_version for row in rows],
        **{name: [list(getattr(row, name)) for row in rows] for name in _TOKEN_COLUMNS},
        **{name: [getattr(row, name) for row in rows] for name in (*_TEXT_COLUMNS, *_NUMBER_COLUMNS)},
    }
