"""What a principal may read: images with a claim of its own or a public one, never another's private claim."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
)

from kindred_kit.adapters.file_references import still_holds
from kindred_kit.adapters.keyed_query import AnyConnection, KeyedQuery
from kindred_search.catalogue import rows
from kindred_search.catalogue.tables import claims, detections, embeddings, file_references, generations, images, outbox
from kindred_search.domain import (
    WHOLE,
    Counts,
    Detection,
    ImageRecord,
    ImageState,
    LabelCount,
    Reference,
    State,
    Visibility,
)

CHUNK = 500
"""Ids in one IN list: below every database's limit of parameters."""


def visible_claim(owner: str | BindParameter[str]) -> ColumnElement[bool]:
    """Condition on a row of `claims`: the principal sees it."""
    return or_(claims.c.owner == owner, claims.c.visibility == int(Visibility.PUBLIC))


def _records_query() -> Select[*tuple[Any, ...]]:
    """Images `ids` with each claim that `reader` sees: its own first, then the oldest, as access.tokens chooses."""
    reader: BindParameter[str] = bindparam("reader")
    return (
        select(*images.c[rows.IMAGE_COLUMNS], *claims.c[rows.CLAIM_COLUMNS], *generations.c[rows.GENERATION_COLUMNS])
        .join(claims, claims.c.image_id == images.c.image_id)
        .outerjoin(
            generations,
            and_(generations.c.image_id == claims.c.image_id, generations.c.owner == claims.c.owner),
        )
        .where(images.c.image_id.in_(bindparam("ids", expanding=True)))
        .where(images.c.deleted_at_ms.is_(None), visible_claim(reader))
        .order_by(case((claims.c.owner == reader, 0), else_=1), claims.c.created_at_ms, claims.c.owner)
    )


_RECORDS = KeyedQuery(_records_query(), "ids")
_LABELS = KeyedQuery(
    select(*detections.c[rows.DETECTION_COLUMNS])
    .where(detections.c.image_id.in_(bindparam("ids", expanding=True)))
    .order_by(detections.c.image_id, detections.c.label_set, detections.c.ordinal),
    "ids",
)


def visible_image(owner: str) -> ColumnElement[bool]:
    """Condition on a row of `images`: alive, and the principal sees a claim on it."""
    return and_(
        images.c.deleted_at_ms.is_(None), exists().where(claims.c.image_id == images.c.image_id, visible_claim(owner))
    )


def records(
    connection: AnyConnection, owner: str, image_ids: Sequence[str], *, with_labels: bool
) -> dict[str, ImageRecord]:
    """The images among these that `owner` may see. Two queries for each 500 ids."""
    found: dict[str, ImageRecord] = {}
    for chunk in _chunks(image_ids):
        matches = _RECORDS.fetch(connection, chunk, reader=owner)
        first = {row[0]: row for row in reversed(matches)}  # of an image's claims the one that comes first
        labels = labels_of(connection, list(first)) if with_labels else {}
        found |= {image_id: rows.record(row, owner, labels) for image_id, row in first.items()}
    return found


def labels_of(connection: AnyConnection, image_ids: Sequence[str]) -> dict[str, list[Detection]]:
    """Detections of each image, in the order in which the detector gave them (best first)."""
    found: dict[str, list[Detection]] = defaultdict(list)
    for chunk in _chunks(image_ids):
        for row in _LABELS.fetch(connection, chunk):
            image_id, detection = rows.detection(row)
            found[image_id].append(detection)
    return found


def states(connection: Connection, owner: str, image_ids: Sequence[str]) -> dict[str, ImageState]:
    found: dict[str, ImageState] = {}
    for chunk in _chunks(image_ids):
        columns = images.c["image_id", "state", "failure_code", "failure_detail"]
        for row in connection.execute(select(*columns).where(images.c.image_id.in_(chunk), visible_image(owner))):
            found[row.image_id] = ImageState(
                row.image_id, State(row.state), rows.failure(row.failure_code, row.failure_detail)
            )
    return found


def references(connection: Connection, owner: str, blob_keys: Sequence[str]) -> list[Reference]:
    """Files that this owner has indexed in place, among these keys.

    A second copy of a photo whose first is gone is left out: accepted again it becomes the place of the bytes.
    """
    state = images.c["state", "failure_code", "failure_detail"]
    now_at = [
        images.c.blob_key.label("now_at"),
        images.c.byte_size.label("now_size"),
        images.c.mtime_ns.label("now_ns"),
    ]
    found: list[Reference] = []
    for chunk in _chunks(blob_keys):
        query = (
            select(*file_references.c, *state, *now_at)
            .join(images, images.c.image_id == file_references.c.image_id)
            .where(file_references.c.owner == owner, file_references.c.blob_key.in_(chunk))
        )
        for row in connection.execute(query):
            if row.now_at != row.blob_key and not still_holds(row.now_at, row.now_size, row.now_ns):
                continue
            place = (row.blob_key, row.image_id, row.byte_size, row.mtime_ns)
            found.append(Reference(*place, State(row.state), rows.failure(row.failure_code, row.failure_detail)))
    return found


def resolve_prefix(connection: Connection, owner: str, prefix: str, limit: int) -> list[str]:
    """Ids that begin with `prefix` (hex digits), in order."""
    above = prefix[:-1] + chr(ord(prefix[-1]) + 1)  # the digits are ASCII: a range, so that the primary key serves it
    in_range = and_(images.c.image_id >= prefix, images.c.image_id < above)
    query = select(images.c.image_id).where(in_range, visible_image(owner)).order_by(images.c.image_id).limit(limit)
    return list(connection.execute(query).scalars())


def embedding(connection: Connection, owner: str, image_id: str, space: str) -> NDArray[np.float32] | None:
    """The whole-image embedding, float32 [d], of an image that the principal may see."""
    query = (
        select(embeddings.c.vector)
        .join(images, images.c.image_id == embeddings.c.image_id)
        .where(embeddings.c.image_id == image_id, embeddings.c.view == WHOLE, embeddings.c.space == space)
        .where(visible_image(owner))
    )
    blob = connection.execute(query).scalar_one_or_none()
    return None if blob is None else rows.decode_vector(blob)


def label_counts(connection: Connection, owner: str) -> list[LabelCount]:
    """Images and boxes of each class among what the principal sees, most images first."""
    key = detections.c["label_set", "class_name"]
    in_images, box_count = func.count(detections.c.image_id.distinct()), func.count()
    query = select(*key, in_images, box_count).group_by(*key).order_by(in_images.desc(), *key)
    if _some_hidden(connection, owner):  # else, as on a laptop, an index alone answers, ten times as fast
        query = query.join(images, images.c.image_id == detections.c.image_id).where(visible_image(owner))
    found = connection.execute(query)
    return [LabelCount(row[0], row[1], row[2], row[3]) for row in found]


def _some_hidden(connection: Connection, owner: str) -> bool:
    """Whether there is an image that the principal does not see."""
    alive = images.c.deleted_at_ms.is_(None)
    return (
        connection.execute(select(images.c.image_id).where(alive, ~visible_image(owner)).limit(1)).first() is not None
    )


def classes(connection: Connection) -> dict[str, dict[str, int]]:
    """Label set -> class name -> class id, as the detections say."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(select(*detections.c["label_set", "class_name", "class_id"]).distinct()):
        found[row.label_set][row.class_name] = row.class_id
    return dict(found)


def counts(connection: Connection, owner: str) -> Counts:
    """How many images the principal sees, by state; its own claims; the outbox."""
    query = select(images.c.state, func.count()).where(visible_image(owner)).group_by(images.c.state)
    by_state = {State(state): count for state, count in connection.execute(query)}
    own = connection.execute(select(func.count()).where(claims.c.owner == owner)).scalar_one()
    waiting = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
    pending = by_state.get(State.STORED, 0) + by_state.get(State.DERIVED, 0)
    indexed, failed = by_state.get(State.INDEXED, 0), by_state.get(State.FAILED, 0)
    return Counts(sum(by_state.values()), indexed, pending, failed, own, waiting)


def _chunks(items: Sequence[str]) -> list[list[str]]:
    unique = list(dict.fromkeys(items))
    return [unique[start : start + CHUNK] for start in range(0, len(unique), CHUNK)]
