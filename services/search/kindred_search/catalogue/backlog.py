"""What a job over all images still has to do. It asks for more until nothing is left, so that it needs no notes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, select, update

from kindred.events.v1 import events_pb2
from kindred_search.catalogue.events import outbox_row
from kindred_search.catalogue.tables import embeddings, images, label_runs, outbox
from kindred_search.domain import EMBEDDED, WHOLE, State

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Lacking:
    """Images in one of `states`, ingested at or after `since_ms`; `condition`: what they lack."""

    condition: ColumnElement[bool]
    states: frozenset[State]
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    image_id: str
    seq: int
    blob_key: str


def lacks_labels(label_set: str, run: str, since_ms: int) -> Lacking:
    """Embedded images whose labels of this set are not of this run; those on their way are labelled at ingest."""
    made = exists().where(
        label_runs.c.image_id == images.c.image_id, label_runs.c.label_set == label_set, label_runs.c.run == run
    )
    return Lacking(~made, EMBEDDED, since_ms)


def lacks_embedding(space: str, since_ms: int = 0) -> Lacking:
    """Images without an embedding of this space, those that wait for the workers among them."""
    made = exists().where(
        embeddings.c.image_id == images.c.image_id, embeddings.c.view == WHOLE, embeddings.c.space == space
    )
    return Lacking(~made, EMBEDDED | {State.STORED}, since_ms)


def page(connection: Connection, lacking: Lacking, after: str, limit: int) -> Sequence[Waiting]:
    """In order of their ids, after `after`."""
    query = (
        select(*images.c["image_id", "seq", "blob_key"])
        .where(_asked_about(lacking), lacking.condition, images.c.image_id > after)
        .order_by(images.c.image_id)
        .limit(limit)
    )
    return [Waiting(row.image_id, row.seq, row.blob_key) for row in connection.execute(query)]


def counts(connection: Connection, lacking: Lacking) -> tuple[int, int]:
    """How many lack it, and of how many."""
    total = select(func.count()).select_from(images).where(_asked_about(lacking))
    waiting = total.where(lacking.condition)
    return connection.execute(waiting).scalar_one(), connection.execute(total).scalar_one()


def wait_again(connection: Connection, space: str, request_id: str, now_ms: int) -> int:
    """After a change to this space: what has no embedding of it goes back to the workers; returns how many that is.

    What was embedded while another space was searched is projected once more, and becomes searchable.
    """
    connection.execute(update(images).where(images.c.state == int(State.DERIVED)).values(indexed_version=-1))
    lacking = lacks_embedding(space)
    embedded = images.c.state.in_([int(state) for state in EMBEDDED])
    left = connection.execute(
        select(*images.c["image_id", "seq", "blob_key"]).where(_asked_about(lacking), embedded, lacking.condition)
    ).all()
    back = update(images).where(images.c.image_id == bindparam("id")).values(state=int(State.STORED))
    if left:
        connection.execute(back, [{"id": row.image_id} for row in left])
        publish_again(connection, [Waiting(*row) for row in left], request_id, now_ms)
    return len(left)


def publish_stored(connection: Connection, request_id: str, now_ms: int) -> int:
    """Put all images that wait for the workers back into the outbox, but for those in it; returns how many.

    Page by page, in one transaction: a crash leaves nothing behind that would have to be told from what was there.
    """
    newest = connection.execute(select(func.max(outbox.c.id))).scalar() or 0
    in_outbox = exists().where(outbox.c.image_id == images.c.image_id, outbox.c.id <= newest)
    stored = and_(images.c.deleted_at_ms.is_(None), images.c.state == int(State.STORED))
    query = select(*images.c["image_id", "seq", "blob_key"]).where(stored, ~in_outbox).order_by(images.c.image_id)
    count, after = 0, ""
    while found := connection.execute(query.where(images.c.image_id > after).limit(_PAGE)).all():
        publish_again(connection, [Waiting(*row) for row in found], request_id, now_ms)
        count, after = count + len(found), found[-1].image_id
    return count


def publish_again(connection: Connection, waiting: Sequence[Waiting], request_id: str, now_ms: int) -> None:
    ingested = events_pb2.ImageEvent.KIND_INGESTED
    events = [outbox_row(ingested, image.image_id, image.seq, image.blob_key, request_id, now_ms) for image in waiting]
    if events:
        connection.execute(insert(outbox), events)


def _asked_about(lacking: Lacking) -> ColumnElement[bool]:
    states = images.c.state.in_([int(state) for state in lacking.states])
    return and_(images.c.deleted_at_ms.is_(None), states, images.c.created_at_ms >= lacking.since_ms)
