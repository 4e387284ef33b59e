"""Classes that somebody would like to see found, counted."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from kindred_search.catalogue.tables import label_requests

MAX_OF_OWNER = 1_000
"""Different classes of one account: nobody fills the operator's list."""
MAX_LISTED = 1_000


@dataclass(frozen=True)
class LabelRequest:
    """A class (without case) and how often it was asked for, by how many accounts; `last_at_ms` is Unix time."""

    class_name: str
    requests: int
    owners: int
    last_at_ms: int


def add(connection: Connection, owner: str, class_key: str, now_ms: int) -> int | None:
    """Count a request; returns how many there are of all accounts, None where the account has too many classes."""
    own = (label_requests.c.owner == owner) & (label_requests.c.class_key == class_key)
    counted = {"requests": label_requests.c.requests + 1, "last_at_ms": now_ms}
    if not connection.execute(update(label_requests).where(own).values(counted)).rowcount:
        of_owner = select(func.count()).select_from(label_requests).where(label_requests.c.owner == owner)
        if connection.execute(of_owner).scalar_one() >= MAX_OF_OWNER:
            return None
        values = {"owner": owner, "class_key": class_key, "requests": 1}
        connection.execute(insert(label_requests).values(**values, first_at_ms=now_ms, last_at_ms=now_ms))
    total = select(func.sum(label_requests.c.requests)).where(label_requests.c.class_key == class_key)
    return int(connection.execute(total).scalar_one())


def listed(connection: Connection) -> list[LabelRequest]:
    """Most requests first."""
    count = func.sum(label_requests.c.requests)
    query = (
        select(label_requests.c.class_key, count, func.count(), func.max(label_requests.c.last_at_ms))
        .group_by(label_requests.c.class_key)
        .order_by(count.desc(), label_requests.c.class_key)
        .limit(MAX_LISTED)
    )
    return [LabelRequest(row[0], int(row[1]), row[2], row[3]) for row in connection.execute(query)]
