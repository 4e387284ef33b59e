"""Vector store port: rows with a vector and what can be filtered on; nearest rows by cosine under a filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

TokenColumn = Literal["access", "labels", "generation"]
TextColumn = Literal["origin", "format"]
NumberColumn = Literal["width", "height", "ingested_at_ms"]
Comparison = Literal["gte", "lte"]


@dataclass(frozen=True, slots=True)
class Row:
    """One image in the index. `vector`: float32 [d], L2-normalised; tokens of access, labels and generating."""

    image_id: str
    vector: NDArray[np.float32]
    row_version: int
    access: tuple[str, ...]
    labels: tuple[str, ...]
    origin: str
    format: str
    width: int
    height: int
    ingested_at_ms: int
    generation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HasAny:
    """The row has at least one of these tokens."""

    column: TokenColumn
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The text is one of these."""

    column: TextColumn
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A number is at least, or at most, this."""

    column: NumberColumn
    comparison: Comparison
    value: int


@dataclass(frozen=True, slots=True)
class And:
    """All hold; without any, every row passes."""

    parts: tuple["IndexFilter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds; without any, no row passes."""

    parts: tuple["IndexFilter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "IndexFilter"


IndexFilter = HasAny | OneOf | Compare | And | Or | Not


@dataclass(frozen=True, slots=True)
class IndexHit:
    """`score`: cosine similarity, -1..1."""

    image_id: str
    score: float


class VectorStore(Protocol):
    """Collections of rows. One caller writes (the projector); anyone searches meanwhile.

    All but `drop` and `names` raise IndexDamaged where what is stored cannot be read or has other columns.
    """

    async def create(self, collection: str, dimension: int) -> None:
        """Make an empty collection; nothing happens where it is already. Names: `[a-z0-9_-]+`."""
        ...

    async def drop(self, collection: str) -> None:
        """Remove a collection; nothing happens where there is none."""
        ...

    async def names(self) -> Sequence[str]: ...

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Insert rows or replace those of the same image_id; visible to searches when this returns."""
        ...

    async def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """Remove rows; unknown ids are ignored."""
        ...

    async def search(
        self, collection: str, vector: NDArray[np.float32], top_k: int, where: IndexFilter
    ) -> Sequence[IndexHit]:
        """The `top_k` nearest rows that pass the filter, best first; fewer only if no more pass.

        `vector`: float32 [d], L2-normalised. Scores are exact even where the ranking is approximate.
        """
        ...

    async def passing(self, collection: str, where: IndexFilter, limit: int) -> Sequence[str]:
        """Image ids of up to `limit` rows that pass the filter, in no order; fewer only if no more pass."""
        ...

    async def count(self, collection: str) -> int:
        """Rows in the collection. Raises InvalidArgument where there is no such collection."""
        ...

    async def versions(self, collection: str, image_ids: Sequence[str]) -> dict[str, int]:
        """Row version of each of these that is in the collection."""
        ...

    async def build_indexes(self, collection: str) -> None:
        """Build the indexes that the collection is large enough for. May take minutes; searches and writes go on."""
        ...

    async def optimize(self, collection: str) -> None:
        """Tidy up after many small writes and take new rows into the indexes.

        A write meanwhile is not harmed, but may undo the effort: better none in the first seconds.
        """
        ...

    async def aclose(self) -> None: ...
