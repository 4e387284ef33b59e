"""What an operator has taken down: nobody's any more, and refused when it comes again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from kindred_kit.errors import ImageTakenDown
from kindred_search.catalogue.deleting import remove_all_claims
from kindred_search.catalogue.engine import upsert
from kindred_search.catalogue.reading import CHUNK
from kindred_search.catalogue.tables import takedowns


@dataclass(frozen=True, slots=True)
class TakeDown:
    image_id: str
    reason: str
    taken_down_at_ms: int


def take_down(connection: Connection, image_ids: Sequence[str], reason: str, request_id: str, now_ms: int) -> list[str]:
    """Block all of these, known or not, and remove every claim on them; returns those that were alive."""
    ids = list(dict.fromkeys(image_ids))
    upsert(connection, takedowns, [{"image_id": i, "reason": reason, "taken_down_at_ms": now_ms} for i in ids])
    return [image_id for image_id in ids if remove_all_claims(connection, image_id, request_id, now_ms)]


def undo(connection: Connection, image_ids: Sequence[str]) -> list[str]:
    """Let these come back; returns those that were taken down."""
    known = sorted(blocked_among(connection, image_ids))
    for start in range(0, len(known), CHUNK):
        connection.execute(delete(takedowns).where(takedowns.c.image_id.in_(known[start : start + CHUNK])))
    return known


def page(connection: Connection, after: str, limit: int) -> list[TakeDown]:
    """In order of their ids."""
    query = select(takedowns).where(takedowns.c.image_id > after).order_by(takedowns.c.image_id).limit(limit)
    return [TakeDown(row.image_id, row.reason, row.taken_down_at_ms) for row in connection.execute(query)]


def blocked_among(connection: Connection, image_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(image_ids), CHUNK):
        among = takedowns.c.image_id.in_(image_ids[start : start + CHUNK])
        found.update(connection.execute(select(takedowns.c.image_id).where(among)).scalars())
    return found


def refuse_blocked(connection: Connection, image_ids: Sequence[str]) -> None:
    """Raises ImageTakenDown. In the transaction that accepts them, so that no take-down gets in between."""
    blocked = blocked_among(connection, image_ids)
    if blocked:
        raise ImageTakenDown(f"image {min(blocked)} was taken down by the operator and is not taken in again")
