"""A vector store in memory: brute force, and the filter's definition itself."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import InvalidArgument
from kindred_search.vectors.evaluate import passes
from kindred_search.vectors.port import IndexFilter, IndexHit, Row


class MemoryVectorStore:
    """VectorStore that passes the port's contract suite."""

    def __init__(self) -> None:
        self._collections: dict[str, dict[str, Row]] = {}

    async def create(self, collection: str, dimension: int) -> None:
        self._collections.setdefault(collection, {})

    async def drop(self, collection: str) -> None:
        self._collections.pop(collection, None)

    async def names(self) -> Sequence[str]:
        return sorted(self._collections)

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        self._rows(collection).update({row.image_id: row for row in rows})

    async def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        for image_id in image_ids:
            self._rows(collection).pop(image_id, None)

    async def search(
        self, collection: str, vector: NDArray[np.float32], top_k: int, where: IndexFilter
    ) -> Sequence[IndexHit]:
        allowed = [row for row in self._rows(collection).values() if passes(row, where)]
        hits = [IndexHit(row.image_id, float(np.dot(row.vector, vector))) for row in allowed]
        return sorted(hits, key=lambda hit: -hit.score)[:top_k]

    async def passing(self, collection: str, where: IndexFilter, limit: int) -> Sequence[str]:
        return [row.image_id for row in self._rows(collection).values() if passes(row, where)][:limit]

    async def count(self, collection: str) -> int:
        return len(self._rows(collection))

    async def versions(self, collection: str, image_ids: Sequence[str]) -> dict[str, int]:
        rows = self._rows(collection)
        return {image_id: rows[image_id].row_version for image_id in image_ids if image_id in rows}

    async def build_indexes(self, collection: str) -> None:
        self._rows(collection)

    async def optimize(self, collection: str) -> None:
        self._rows(collection)

    async def aclose(self) -> None:
        self._collections.clear()

    def _rows(self, collection: str) -> dict[str, Row]:
        if collection not in self._collections:
            raise InvalidArgument(f"the index has no collection {collection}")
        return self._collections[collection]
