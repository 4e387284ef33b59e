"""Notes of a data set: what was left out, and why."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from kindred_datasets.domain import Note
from kindred_datasets.store.tables import notes


def add(connection: Connection, dataset_id: str, found: Sequence[Note]) -> None:
    first = count(connection, dataset_id)
    values = [
        {"dataset_id": dataset_id, "position": n, "subject": note.subject, "code": note.code, "detail": note.detail}
        for n, note in enumerate(found, first)
    ]
    if values:
        connection.execute(insert(notes), values)


def count(connection: Connection, dataset_id: str) -> int:
    return connection.execute(select(func.count()).where(notes.c.dataset_id == dataset_id)).scalar_one()


def by_code(connection: Connection, dataset_id: str) -> dict[str, int]:
    query = select(notes.c.code, func.count()).where(notes.c.dataset_id == dataset_id).group_by(notes.c.code)
    return {row[0]: row[1] for row in connection.execute(query)}


def listed(connection: Connection, dataset_id: str, limit: int | None = None) -> list[Note]:
    """In the order in which they were made."""
    query = select(notes).where(notes.c.dataset_id == dataset_id).order_by(notes.c.position).limit(limit)
    return [Note(row.subject, row.code, row.detail) for row in connection.execute(query)]
