"""Remove an owner's claims; with the last claim the image leaves a tombstone, so that late news are ignored."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from kindred.events.v1 import events_pb2
from kindred_search.catalogue.accepting import claim_count
from kindred_search.catalogue.events import outbox_row
from kindred_search.catalogue.tables import (
    claims,
    detections,
    embeddings,
    file_references,
    generations,
    images,
    label_runs,
    outbox,
)
from kindred_search.domain import EMBEDDED, State


def remove_claims(
    connection: Connection, owner: str, image_ids: Sequence[str], request_id: str, now_ms: int
) -> list[str]:
    """Remove the claims that `owner` has among these and return their images' ids, each once."""
    return [i for i in dict.fromkeys(image_ids) if _remove_one(connection, owner, i, request_id, now_ms)]


def _remove_one(connection: Connection, owner: str, image_id: str, request_id: str, now_ms: int) -> bool:
    row = connection.execute(select(images).where(images.c.image_id == image_id).with_for_update()).one_or_none()
    if row is None:
        return False
    own = (claims.c.image_id == image_id) & (claims.c.owner == owner)
    if connection.execute(delete(claims).where(own)).rowcount == 0:
        return False
    for table in (file_references, generations):
        connection.execute(delete(table).where(table.c.image_id == image_id, table.c.owner == owner))
    if claim_count(connection, image_id) == 0:
        _bury(connection, row, request_id, now_ms)
    else:
        _leave_to_others(connection, row)
    return True


def remove_all_claims(connection: Connection, image_id: str, request_id: str, now_ms: int) -> bool:
    """Whoever has them; returns whether the image was alive."""
    row = connection.execute(select(images).where(images.c.image_id == image_id).with_for_update()).one_or_none()
    if row is None or row.deleted_at_ms is not None:
        return False
    for table in (claims, file_references, generations):
        connection.execute(delete(table).where(table.c.image_id == image_id))
    _bury(connection, row, request_id, now_ms)
    return True


def _bury(connection: Connection, row: Row[Any], request_id: str, now_ms: int) -> None:
    for table in (embeddings, detections, label_runs):
        connection.execute(delete(table).where(table.c.image_id == row.image_id))
    values = {
        "seq": row.seq + 1,
        "row_version": row.row_version + 1,
        "state": int(State.DELETED),
        "deleted_at_ms": now_ms,
        "taken_at": "",
        "failure_code": None,
        "failure_detail": None,
    }
    connection.execute(update(images).where(images.c.image_id == row.image_id).values(values))
    event = outbox_row(events_pb2.ImageEvent.KIND_DELETED, row.image_id, row.seq + 1, row.blob_key, request_id, now_ms)
    connection.execute(insert(outbox).values(event))


def _leave_to_others(connection: Connection, row: Row[Any]) -> None:
    values: dict[str, Any] = {}
    if row.state in EMBEDDED:
        values["row_version"] = row.row_version + 1  # who may see it has changed
    elsewhere = connection.execute(
        select(file_references)
        .where(file_references.c.image_id == row.image_id)
        .order_by(file_references.c.blob_key)
        .limit(1)
    ).one_or_none()
    if elsewhere is not None and row.blob_key.startswith("file:"):
        values.update(blob_key=elsewhere.blob_key, byte_size=elsewhere.byte_size, mtime_ns=elsewhere.mtime_ns)
    if values:
        connection.execute(update(images).where(images.c.image_id == row.image_id).values(values))
