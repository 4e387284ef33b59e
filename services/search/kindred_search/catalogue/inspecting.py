"""What the doctor asks of the catalogue, and what it sets right there."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from kindred_search.catalogue.backlog import Waiting, publish_again
from kindred_search.catalogue.reading import CHUNK
from kindred_search.catalogue.tables import embeddings, images, outbox
from kindred_search.domain import EMBEDDED, WHOLE, State

_EMBEDDED = [int(state) for state in EMBEDDED]


@dataclass(frozen=True, slots=True)
class Holding:
    """A living image, as far as index and object store should know of it. `embedded`: in the space that is searched."""

    image_id: str
    seq: int
    blob_key: str
    thumb_key: str
    byte_size: int
    mtime_ns: int
    state: State
    row_version: int
    dirty: bool
    created_at_ms: int
    embedded: bool
    in_outbox: bool

    @property
    def searchable(self) -> bool:
        return self.state in EMBEDDED and self.embedded


def of_prefix(connection: Connection, prefix: str, space: str) -> list[Holding]:
    """Living images whose ids begin with these hex digits."""
    above = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return _holdings(connection, (images.c.image_id >= prefix) & (images.c.image_id < above), space)


def of_ids(connection: Connection, image_ids: Sequence[str], space: str) -> dict[str, Holding]:
    found: list[Holding] = []
    for start in range(0, len(image_ids), CHUNK):
        found += _holdings(connection, images.c.image_id.in_(image_ids[start : start + CHUNK]), space)
    return {holding.image_id: holding for holding in found}


def newest_embedded_ms(connection: Connection) -> int:
    """When the newest image that the workers are done with was accepted."""
    newest = select(func.max(images.c.created_at_ms)).where(images.c.state.in_(_EMBEDDED))
    return connection.execute(newest).scalar() or 0


def project_again(connection: Connection, image_ids: Sequence[str]) -> None:
    """The index does not hold what it was said to hold."""
    of_ids_ = images.c.image_id.in_(image_ids)
    connection.execute(update(images).where(of_ids_, images.c.deleted_at_ms.is_(None)).values(indexed_version=-1))


def send_again(connection: Connection, found: Sequence[Holding], request_id: str, now_ms: int, *, as_new: bool) -> None:
    """To the workers, whose work may be repeated. `as_new`: as if just accepted, not searchable until then."""
    if as_new:
        ids = [holding.image_id for holding in found]
        again = update(images).where(images.c.image_id.in_(ids), images.c.deleted_at_ms.is_(None))
        connection.execute(again.values(state=int(State.STORED)))
    waiting = [Waiting(holding.image_id, holding.seq, holding.blob_key) for holding in found]
    publish_again(connection, waiting, request_id, now_ms)


def lost_bytes(connection: Connection, holding: Holding) -> None:
    """Nobody can be given this image: it fails, leaves the index, and whoever brings the bytes again revives it."""
    of_life = (images.c.image_id == holding.image_id) & (images.c.seq == holding.seq)
    values = {
        "state": int(State.FAILED),
        "failure_code": "image_missing",
        "failure_detail": "the image's bytes are gone from the object store; add it again",
        "row_version": images.c.row_version + 1,
    }
    connection.execute(update(images).where(of_life, images.c.deleted_at_ms.is_(None)).values(values))


def _holdings(connection: Connection, which: ColumnElement[bool], space: str) -> list[Holding]:
    embedded = exists().where(
        embeddings.c.image_id == images.c.image_id, embeddings.c.view == WHOLE, embeddings.c.space == space
    )
    query = select(
        *images.c["image_id", "seq", "blob_key", "thumb_key", "byte_size", "mtime_ns", "state", "row_version"],
        (images.c.row_version > images.c.indexed_version).label("dirty"),
        images.c.created_at_ms,
        embedded.label("embedded"),
        exists().where(outbox.c.image_id == images.c.image_id).label("in_outbox"),
    ).where(which, images.c.deleted_at_ms.is_(None))
    return [
        Holding(
            *row[:6], State(row.state), row.row_version, bool(row.dirty), row.created_at_ms, bool(row.embedded),
            bool(row.in_outbox),
        )
        for row in connection.execute(query)
    ]  # fmt: skip
