"""What workers found out about an image. Late news (another seq than the record's) change nothing."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from kindred_search.catalogue import rows
from kindred_search.catalogue.collections import ensure_collection
from kindred_search.catalogue.engine import upsert
from kindred_search.catalogue.labelling import replace_labels
from kindred_search.catalogue.tables import embeddings, images
from kindred_search.domain import EMBEDDED, WHOLE, Derived, Failure, State, ViewEmbedding

# run for every image: putting a statement together costs more than SQLite needs to run it
_OF_IMAGE = images.c.image_id == bindparam("wanted_id")
_CURRENT = select(images).where(_OF_IMAGE).with_for_update()
_NOTED = ("row_version", "thumb_key", "state", "failure_code", "failure_detail")
_NOTE = update(images).where(_OF_IMAGE).values({name: bindparam(name) for name in _NOTED})


def put_all_derived(connection: Connection, derived: Sequence[Derived]) -> list[bool]:
    """Write what was found out about each; returns for each whether the news was stale."""
    return [put_derived(connection, one) for one in derived]


def put_derived(connection: Connection, derived: Derived) -> bool:
    """Write embeddings, labels and thumbnail key; returns whether the news was stale. Repeating it changes nothing."""
    row = _current(connection, derived.image_id)
    if row is None:
        return True
    if row.seq != derived.seq:
        _sweep_thumbnail(connection, row, derived.thumb_key)
        return True
    for found in derived.embeddings:
        _replace_embedding(connection, derived.image_id, found)
        if found.view == WHOLE:
            ensure_collection(connection, found.space, found.view, len(found.vector))
    for run in derived.labels:
        replace_labels(connection, derived.image_id, derived.seq, run)
    noted = {name: getattr(row, name) for name in _NOTED}
    noted.update(row_version=row.row_version + 1, thumb_key=derived.thumb_key or row.thumb_key)
    if row.state not in EMBEDDED and any(found.view == WHOLE for found in derived.embeddings):
        noted.update(state=int(State.DERIVED), failure_code=None, failure_detail=None)
    connection.execute(_NOTE, {"wanted_id": derived.image_id, **noted})
    return False


def put_failure(connection: Connection, image_id: str, seq: int, failure: Failure) -> bool:
    """Note that an image can never be embedded; returns whether the news was stale.

    An image that is embedded already stays so: the message came a second time and its file has gone since.
    """
    row = _current(connection, image_id)
    if row is None or row.seq != seq or row.state in EMBEDDED:
        return True
    values = {"state": int(State.FAILED), "failure_code": failure.code[:64], "failure_detail": failure.detail}
    connection.execute(update(images).where(images.c.image_id == image_id).values(values))
    return False


def _current(connection: Connection, image_id: str) -> Row[Any] | None:
    return connection.execute(_CURRENT, {"wanted_id": image_id}).one_or_none()


def _replace_embedding(connection: Connection, image_id: str, found: ViewEmbedding) -> None:
    values = {
        "image_id": image_id,
        "view": found.view,
        "space": found.space,
        "model_name": found.model_name,
        "model_version": found.model_version,
        "vector": rows.encode_vector(found.vector),
    }
    upsert(connection, embeddings, [values])


def _sweep_thumbnail(connection: Connection, row: Row[Any], thumb_key: str) -> None:
    """A worker wrote a thumbnail of an image that has been buried since: let the projector remove it."""
    if row.deleted_at_ms is not None and thumb_key:
        values = {"thumb_key": thumb_key, "row_version": row.row_version + 1}
        connection.execute(update(images).where(images.c.image_id == row.image_id).values(values))
