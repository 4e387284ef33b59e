"""What a build has found out so far: a builder that takes it up later goes on from here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, insert, select

from kindred_datasets.domain import Item, Note
from kindred_datasets.store import jobs, notes, rows
from kindred_datasets.store.tables import given, items

_DTYPE = np.dtype("<f4")
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class GivenView:
    """A given photo (`view` 0) or its n-th box (`view` n) as the embedder saw it.

    `vector` float32 [d], L2-normalised; None where there is an error instead.
    """

    role: str
    position: int
    view: int
    space: str
    vector: NDArray[np.float32] | None
    error_code: str = ""
    error_detail: str = ""


def put_given(connection: Connection, builder: str, dataset_id: str, views: Sequence[GivenView]) -> None:
    """Raises LeaseLost."""
    jobs.progressed(connection, builder, dataset_id)
    values = [
        {
            "dataset_id": dataset_id,
            "role": view.role,
            "position": view.position,
            "view": view.view,
            "space": view.space,
            "vector": None if view.vector is None else view.vector.astype(_DTYPE).tobytes(),
            "error_code": view.error_code,
            "error_detail": view.error_detail,
        }
        for view in views
    ]
    if values:
        connection.execute(insert(given), values)


def given_views(connection: Connection, dataset_id: str) -> list[GivenView]:
    """All that were embedded so far, in the order of the spec."""
    order = (given.c.role, given.c.position, given.c.view)
    query = select(given).where(given.c.dataset_id == dataset_id).order_by(*order)
    return [
        GivenView(
            row.role,
            row.position,
            row.view,
            row.space,
            None if row.vector is None else np.frombuffer(row.vector, _DTYPE),
            row.error_code,
            row.error_detail,
        )
        for row in connection.execute(query)
    ]


def forget_given(connection: Connection, builder: str, dataset_id: str) -> None:
    """The embedding space has changed: all are to be embedded again."""
    jobs.require(connection, builder, dataset_id)
    connection.execute(delete(given).where(given.c.dataset_id == dataset_id))


def put_selection(
    connection: Connection, builder: str, dataset_id: str, chosen: Sequence[Item], found: Sequence[Note], facts: bytes
) -> None:
    """The end of the selection, in one transaction; `facts` are JSON. Raises LeaseLost."""
    jobs.progressed(connection, builder, dataset_id)
    jobs.put_facts(connection, builder, dataset_id, facts)
    for start in range(0, len(chosen), _CHUNK):
        part = enumerate(chosen[start : start + _CHUNK], start)
        values = [{"dataset_id": dataset_id, "position": n, "payload": rows.encode_item(item)} for n, item in part]
        connection.execute(insert(items), values)
    notes.add(connection, dataset_id, found)


def item_count(connection: Connection, dataset_id: str) -> int:
    """0: the selection has not ended."""
    return connection.execute(select(func.count()).where(items.c.dataset_id == dataset_id)).scalar_one()


def items_from(connection: Connection, dataset_id: str, start: int, limit: int) -> list[Item]:
    query = (
        select(items.c.payload)
        .where(items.c.dataset_id == dataset_id, items.c.position >= start)
        .order_by(items.c.position)
        .limit(limit)
    )
    return [rows.decode_item(payload) for payload in connection.execute(query).scalars()]
