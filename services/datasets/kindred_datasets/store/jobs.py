"""Data sets as rows: made once for a key, taken by one builder at a time, kept until they expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, tuple_, update

from kindred_datasets.domain import Note
from kindred_datasets.errors import DatasetNotFound, IdempotencyConflict, LeaseLost, TooManyDatasets
from kindred_datasets.jobs import Finished, Job, NewJob, Progress, Stage, State
from kindred_datasets.store import notes, rows, tables
from kindred_datasets.store.tables import datasets, given, items

MAX_UNFINISHED = 100
"""Of one owner: nobody fills the queue of all others."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an idempotency key made."""

    dataset_id: str
    digest: str


_UNFINISHED = (int(State.QUEUED), int(State.RUNNING))
_LISTED = [column for column in datasets.c if column.name not in {"spec", "facts"}]


def of_key(connection: Connection, owner: str, idempotency_key: str) -> Known | None:
    """What the key made, if it made anything."""
    same = (datasets.c.owner == owner) & (datasets.c.idempotency_key == idempotency_key)
    row = connection.execute(select(*datasets.c["dataset_id", "spec_digest"]).where(same)).first()
    return None if row is None else Known(row.dataset_id, row.spec_digest)


def create(connection: Connection, new: NewJob, dataset_id: str, now_ms: int) -> Job:
    """The new data set, or the one that the same key made. Raises IdempotencyConflict, TooManyDatasets."""
    known = of_key(connection, new.owner, new.idempotency_key) if new.idempotency_key else None
    if known is not None:
        if known.digest != new.digest:
            raise IdempotencyConflict("this idempotency key was used for another data set")
        return get(connection, new.owner, known.dataset_id)
    waiting = datasets.c.owner == new.owner, datasets.c.state.in_(_UNFINISHED)
    if connection.execute(select(func.count()).select_from(datasets).where(*waiting)).scalar_one() >= MAX_UNFINISHED:
        raise TooManyDatasets(f"{MAX_UNFINISHED} data sets of this account are unfinished; wait until one is done")
    values: dict[str, Any] = {
        **{column.name: 0 for column in datasets.c if column.type.python_type is int},
        **{column.name: "" for column in datasets.c if column.type.python_type is str},
        "dataset_id": dataset_id,
        "owner": new.owner,
        "name": new.spec.name,
        "idempotency_key": new.idempotency_key or None,
        "spec_digest": new.digest,
        "spec": new.spec.SerializeToString(deterministic=True),
        "facts": b"",
        "request_id": new.request_id,
        "state": int(State.QUEUED),
        "created_at_ms": now_ms,
    }
    connection.execute(insert(datasets).values(values))
    return get(connection, new.owner, dataset_id)


def get(connection: Connection, owner: str, dataset_id: str) -> Job:
    """Raises DatasetNotFound, also for another owner's."""
    mine = (datasets.c.owner == owner) & (datasets.c.dataset_id == dataset_id)
    row = connection.execute(select(datasets).where(mine)).first()
    if row is None:
        raise DatasetNotFound("there is no data set with this id; they are kept for some days only")
    return rows.job(row)


def listed(connection: Connection, owner: str, limit: int, after_id: str) -> list[Job]:
    """Newest first, without specs. Raises DatasetNotFound for `after_id`."""
    query = select(*_LISTED).where(datasets.c.owner == owner)
    if after_id:
        last = get(connection, owner, after_id)
        query = query.where(
            tuple_(datasets.c.created_at_ms, datasets.c.dataset_id) < (last.created_at_ms, last.dataset_id)
        )
    query = query.order_by(datasets.c.created_at_ms.desc(), datasets.c.dataset_id.desc()).limit(limit)
    return [rows.job(row) for row in connection.execute(query)]


def claim(connection: Connection, builder: str, now_ms: int, lease_ms: int) -> Job | None:
    """Take the oldest data set that nobody builds: one that waits, or whose builder has stopped to say so.

    One that this very builder held is taken at once: it is what an earlier life of the process left.
    """
    free = and_(
        datasets.c.state.in_(_UNFINISHED),
        datasets.c.not_before_ms <= now_ms,
        or_(datasets.c.lease_until_ms <= now_ms, datasets.c.lease_owner == builder),
    )
    order = (datasets.c.created_at_ms, datasets.c.dataset_id)
    while True:
        chosen = connection.execute(select(datasets.c.dataset_id).where(free).order_by(*order).limit(1)).scalar()
        if chosen is None:
            return None
        taken = connection.execute(
            update(datasets)
            .where(datasets.c.dataset_id == chosen, free)
            .values(
                state=int(State.RUNNING),
                lease_owner=builder,
                lease_until_ms=now_ms + lease_ms,
                attempts=datasets.c.attempts + 1,
            )
        )
        if taken.rowcount:  # else another replica was faster
            return rows.job(connection.execute(select(datasets).where(datasets.c.dataset_id == chosen)).one())


def hold(connection: Connection, builder: str, dataset_id: str, until_ms: int, now: Progress) -> None:
    """Extend the lease and tell how far the build is. Raises LeaseLost."""
    counts = {"done": now.done, "total": now.total, "failed": now.failed}
    _change(connection, builder, dataset_id, lease_until_ms=until_ms, stage=now.stage.value, **counts)


def require(connection: Connection, builder: str, dataset_id: str) -> None:
    """Raises LeaseLost unless this builder still holds the data set: in one transaction with what depends on it."""
    _change(connection, builder, dataset_id, lease_owner=builder)


def progressed(connection: Connection, builder: str, dataset_id: str) -> None:
    """As `require`; earlier attempts count no more, since the build has come further than they did."""
    _change(connection, builder, dataset_id, attempts=0)


def postpone(connection: Connection, builder: str, dataset_id: str, not_before_ms: int, error: tuple[str, str]) -> None:
    """Give the data set back: to be tried again, not before a time."""
    code, detail = error
    again = {"state": int(State.QUEUED), "lease_owner": "", "lease_until_ms": 0, "not_before_ms": not_before_ms}
    _change(connection, builder, dataset_id, **again, error_code=code, error_detail=detail)


def give_back(connection: Connection, builder: str, dataset_id: str) -> None:
    """The builder ends, the data set waits for another one; that was no attempt."""
    free = {"state": int(State.QUEUED), "lease_owner": "", "lease_until_ms": 0}
    _change(connection, builder, dataset_id, **free, attempts=datasets.c.attempts - 1)


def finish(
    connection: Connection,
    builder: str,
    dataset_id: str,
    result: Finished,
    found: Sequence[Note],
    now_ms: int,
    expires_at_ms: int,
) -> None:
    """`found`: what the export left out. Raises LeaseLost."""
    notes.add(connection, dataset_id, found)
    _change(
        connection,
        builder,
        dataset_id,
        state=int(State.DONE),
        stage=Stage.PACK.value,
        done=result.images,
        total=result.images,
        images=result.images,
        boxes=result.boxes,
        archive_key=result.archive.key,
        archive_bytes=result.archive.byte_size,
        archive_sha256=result.archive.sha256,
        manifest_sha256=result.manifest_sha256,
        failed=result.failed,
        error_code="",
        error_detail="",
        finished_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
    )
    _forget_checkpoints(connection, dataset_id)


def fail(
    connection: Connection, builder: str, dataset_id: str, error: tuple[str, str], now_ms: int, expires_at_ms: int
) -> None:
    code, detail = error
    end = {"state": int(State.FAILED), "finished_at_ms": now_ms, "expires_at_ms": expires_at_ms}
    _change(connection, builder, dataset_id, **end, error_code=code, error_detail=detail)
    _forget_checkpoints(connection, dataset_id)


def remove(connection: Connection, owner: str, dataset_id: str) -> bool:
    """Forget a data set, also one that is being built; its archive is the caller's to delete."""
    mine = (datasets.c.owner == owner) & (datasets.c.dataset_id == dataset_id)
    if connection.execute(select(datasets.c.dataset_id).where(mine)).first() is None:
        return False
    _remove(connection, [dataset_id])
    return True


def remove_expired(connection: Connection, now_ms: int, limit: int) -> list[str]:
    """Forget data sets past their time; their ids."""
    past = datasets.c.state.in_((int(State.DONE), int(State.FAILED))), datasets.c.expires_at_ms <= now_ms
    ids = list(connection.execute(select(datasets.c.dataset_id).where(*past).limit(limit)).scalars())
    if ids:
        _remove(connection, ids)
    return ids


def put_facts(connection: Connection, builder: str, dataset_id: str, facts: bytes) -> None:
    _change(connection, builder, dataset_id, facts=facts)


def facts_of(connection: Connection, dataset_id: str) -> bytes:
    query = select(datasets.c.facts).where(datasets.c.dataset_id == dataset_id)
    return bytes(connection.execute(query).scalar_one())


def unfinished(connection: Connection, dataset_ids: Sequence[str]) -> set[str]:
    """Those of the ids that are still to be built."""
    query = select(datasets.c.dataset_id).where(datasets.c.dataset_id.in_(dataset_ids))
    return set(connection.execute(query.where(datasets.c.state.in_(_UNFINISHED))).scalars())


def known(connection: Connection, dataset_ids: Sequence[str]) -> set[str]:
    """Those of the ids that there are."""
    return set(
        connection.execute(select(datasets.c.dataset_id).where(datasets.c.dataset_id.in_(dataset_ids))).scalars()
    )


def _change(connection: Connection, builder: str, dataset_id: str, **values: Any) -> None:
    held: ColumnElement[bool] = and_(
        datasets.c.dataset_id == dataset_id,
        datasets.c.lease_owner == builder,
        datasets.c.state == int(State.RUNNING),
    )
    if not connection.execute(update(datasets).where(held).values(values)).rowcount:
        raise LeaseLost("the data set was removed, or another replica builds it")


def _forget_checkpoints(connection: Connection, dataset_id: str) -> None:
    for table in (given, items):
        connection.execute(delete(table).where(table.c.dataset_id == dataset_id))


def _remove(connection: Connection, dataset_ids: Sequence[str]) -> None:
    for table in (given, items, tables.notes, datasets):
        connection.execute(delete(table).where(table.c.dataset_id.in_(dataset_ids)))
