"""Accept images: content record, claim, reference and outbox row in one transaction.

Content is shared, claims are not: the same bytes of a second owner add a claim and nothing is embedded again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from kindred.events.v1 import events_pb2
from kindred_kit.adapters.file_references import referenced_path, still_holds
from kindred_search.catalogue import rows
from kindred_search.catalogue.engine import upsert
from kindred_search.catalogue.events import outbox_row
from kindred_search.catalogue.tables import claims, file_references, generations, images, outbox
from kindred_search.domain import EMBEDDED, Accepted, Generation, NewImage, State, Visibility

_ABOUT_THE_FILE = {"image_missing", "image_changed"}
"""Failures of where the bytes were, not of the bytes: another acceptance may well succeed."""

# run for every image: putting a statement together costs more than SQLite needs to run it
_CURRENT = select(images).where(images.c.image_id == bindparam("wanted_id")).with_for_update()
_CLAIMS = select(claims).where(claims.c.image_id == bindparam("wanted_id"))
_GENERATION = select(*generations.c[rows.GENERATION_COLUMNS]).where(
    generations.c.image_id == bindparam("wanted_id"), generations.c.owner == bindparam("claimant")
)
_INSERT_IMAGE, _INSERT_OUTBOX = insert(images), insert(outbox)


def accept(connection: Connection, owner: str, new: Sequence[NewImage], request_id: str, now_ms: int) -> list[Accepted]:
    """Accept all of `new` or, on an error, none; an image that is in it twice is known the second time."""
    return [_accept_one(connection, owner, image, request_id, now_ms) for image in new]


def _accept_one(connection: Connection, owner: str, image: NewImage, request_id: str, now_ms: int) -> Accepted:
    of_image = images.c.image_id == image.image_id
    row = connection.execute(_CURRENT, {"wanted_id": image.image_id}).one_or_none()
    said = connection.execute(_CLAIMS, {"wanted_id": image.image_id}).all()
    seen_before = row is not None and any(c.owner == owner or c.visibility == Visibility.PUBLIC for c in said)
    if row is None:
        values = _first_life(image, now_ms)
        connection.execute(_INSERT_IMAGE, values)
    elif row.deleted_at_ms is not None:
        values = _next_life(row, image, now_ms)
        connection.execute(update(images).where(of_image).values(values))
    else:
        generated = _generation(connection, image.image_id, owner)
        values = _same_life(row, image, owner, said, generated)
        if values:
            connection.execute(update(images).where(of_image).values(values))
    place = values.get("blob_key", row.blob_key if row else image.blob_key)
    own = next((c for c in said if c.owner == owner), None)
    # a second copy adds no second name: the one shown is that of the place the bytes are read from
    kept = ["file_name"] if own is not None and own.file_name and image.blob_key != place else []
    claim = rows.claim_values(owner, image.image_id, image.claim, now_ms)
    upsert(connection, claims, [claim], keep=["created_at_ms", *kept])
    if own is not None or image.claim.generation is not None:
        _keep_generation(connection, owner, image)
    if referenced_path(image.blob_key) is not None:
        _remember_reference(connection, owner, image)
    state = State(values.get("state", row.state if row else State.STORED))
    seq = int(values.get("seq", row.seq if row else 1))
    if row is None or seq != row.seq:  # whoever issues a seq publishes it
        ingested = events_pb2.ImageEvent.KIND_INGESTED
        connection.execute(_INSERT_OUTBOX, outbox_row(ingested, image.image_id, seq, place, request_id, now_ms))
    return Accepted(image.image_id, created=not seen_before, seq=seq, state=state)


def _content(image: NewImage) -> dict[str, Any]:
    return {
        "byte_size": image.byte_size,
        "mtime_ns": image.mtime_ns,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "origin": image.origin,
        "taken_at": image.taken_at,
        "blob_key": image.blob_key,
        "thumb_key": "",
        "state": int(State.STORED),
        "deleted_at_ms": None,
        "failure_code": None,
        "failure_detail": None,
    }


def _first_life(image: NewImage, now_ms: int) -> dict[str, Any]:
    counters = {"seq": 1, "incarnation": 1, "row_version": 0, "indexed_version": 0, "created_at_ms": now_ms}
    return {"image_id": image.image_id, **_content(image), **counters}


def _next_life(row: Row[Any], image: NewImage, now_ms: int) -> dict[str, Any]:
    counters = {"seq": row.seq + 1, "incarnation": row.incarnation + 1, "row_version": row.row_version + 1}
    return {**_content(image), **counters, "created_at_ms": now_ms}


def _same_life(
    row: Row[Any], image: NewImage, owner: str, said: Sequence[Row[Any]], generated: Generation | None
) -> dict[str, Any]:
    """What changes of a record that is alive; a new `seq` sends it to the workers again."""
    values: dict[str, Any] = {}
    own = next((c for c in said if c.owner == owner), None)
    if own is not None and len(said) == 1 and image.origin != row.origin:
        values["origin"] = image.origin  # nobody else has a say
    moved = image.blob_key != row.blob_key and _takes_over(row, image)
    if moved:
        values["blob_key"] = image.blob_key
    if moved or image.blob_key == row.blob_key:
        values.update(byte_size=image.byte_size, mtime_ns=image.mtime_ns)
    pending_elsewhere = moved and row.state == State.STORED  # its event names a place where the bytes no longer are
    if pending_elsewhere or (row.state == State.FAILED and _may_succeed(row.failure_code)):
        values.update(seq=row.seq + 1, state=int(State.STORED), failure_code=None, failure_detail=None)
    otherwise = "origin" in values or _seen_otherwise(own, image) or generated != image.claim.generation
    if row.state in EMBEDDED and otherwise:
        values["row_version"] = row.row_version + 1
    return values


def _takes_over(row: Row[Any], image: NewImage) -> bool:
    """Whether the bytes are to be read from the new place: stored bytes stay, a reference gives way to better ones.

    A second copy is none the better while the first lies where it lay; or the same photo twice would be embedded twice.
    """
    if referenced_path(row.blob_key) is None:
        return False
    if referenced_path(image.blob_key) is None:
        return True
    if row.state == State.FAILED and _may_succeed(row.failure_code):
        return True
    return not still_holds(row.blob_key, row.byte_size, row.mtime_ns)


def _may_succeed(failure_code: str) -> bool:
    return failure_code in _ABOUT_THE_FILE or not failure_code.startswith("image_")


def _seen_otherwise(own: Row[Any] | None, image: NewImage) -> bool:
    said = image.claim
    return own is None or (own.visibility, own.license) != (said.visibility, said.rights.license)


def _generation(connection: Connection, image_id: str, owner: str) -> Generation | None:
    found = connection.execute(_GENERATION, {"wanted_id": image_id, "claimant": owner}).one_or_none()
    return None if found is None else rows.generation(found)


def _keep_generation(connection: Connection, owner: str, image: NewImage) -> None:
    if image.claim.generation is not None:
        upsert(connection, generations, [rows.generation_values(owner, image.image_id, image.claim.generation)])
    else:
        of_claim = (generations.c.image_id == image.image_id) & (generations.c.owner == owner)
        connection.execute(delete(generations).where(of_claim))


def _remember_reference(connection: Connection, owner: str, image: NewImage) -> None:
    reference = {
        "owner": owner,
        "blob_key": image.blob_key,
        "image_id": image.image_id,
        "byte_size": image.byte_size,
        "mtime_ns": image.mtime_ns,
    }
    upsert(connection, file_references, [reference])


def claim_count(connection: Connection, image_id: str) -> int:
    return connection.execute(select(func.count()).where(claims.c.image_id == image_id)).scalar_one()
