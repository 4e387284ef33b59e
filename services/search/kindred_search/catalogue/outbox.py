"""The outbox: events that are committed and not yet published."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from kindred_search.catalogue.tables import outbox


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """`payload`: a serialised kindred.events.v1.ImageEvent."""

    id: int
    image_id: str
    request_id: str
    payload: bytes


def oldest(connection: Connection, limit: int) -> list[OutboxRow]:
    query = select(outbox).order_by(outbox.c.id).limit(limit)
    return [OutboxRow(row.id, row.image_id, row.request_id, row.payload) for row in connection.execute(query)]


def remove(connection: Connection, published: Sequence[OutboxRow]) -> None:
    """Forget what has been published."""
    connection.execute(delete(outbox).where(outbox.c.id.in_([row.id for row in published])))
