"""Jobs as rows: one builder each, leases that end, checkpoints that only their builder writes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine
from support.databases import database_url

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.app import MIGRATIONS
from kindred_datasets.domain import Item, Label, Note, Rights
from kindred_datasets.errors import DatasetNotFound, IdempotencyConflict, LeaseLost, TooManyDatasets
from kindred_datasets.jobs import Archive, Finished, Job, NewJob, Progress, Stage, State
from kindred_datasets.store import checkpoints, jobs, notes
from kindred_datasets.store.checkpoints import GivenView
from kindred_kit.adapters.sql import open_engine, upgrade, writing

LEASE_MS = 1_000
ITEM = Item(
    image_id="ab" * 32,
    width=640,
    height=480,
    format="jpeg",
    byte_size=12,
    origin="photo",
    blob_key="file:///a%20b.jpg",
    thumb_key="",
    file_name="a b.jpg",
    rights=Rights("by", creator="Ada"),
    labels=(Label("coco-80", "dog", 0.5, (0.1, 0.2, 0.30000001192092896, 1.0), "single", 1, "m/1"),),
    score=0.25,
    chosen_for="a dog",
    group=3,
    split="val",
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine: Engine = open_engine(database_url(tmp_path / "d.db"))
    upgrade(engine, MIGRATIONS)
    with writing(engine) as connection:
        yield connection
    engine.dispose()


def create(connection: Connection, name: str, *, key: str = "", owner: str = "ada", digest: str = "d") -> Job:
    spec = pb.DatasetSpec(name=name, size=3)
    return jobs.create(connection, NewJob(owner, key, digest, spec, "req_1"), f"ds_{name}", now_ms=int(name))


def done(images: int = 1) -> Finished:
    return Finished(images, 2, 0, Archive("datasets/x/archive.zip", 10, "ab"), "cd")


def test_the_same_key_is_the_same_data_set(connection: Connection) -> None:
    first = create(connection, "1", key="k")
    assert create(connection, "2", key="k").dataset_id == first.dataset_id
    assert create(connection, "3", key="k", owner="bo").dataset_id == "ds_3"
    assert create(connection, "4").dataset_id == "ds_4"
    assert create(connection, "5").dataset_id == "ds_5"  # no key, no memory
    with pytest.raises(IdempotencyConflict):
        create(connection, "6", key="k", digest="other")


def test_an_account_has_only_so_many_unfinished(connection: Connection) -> None:
    for number in range(jobs.MAX_UNFINISHED):
        create(connection, str(number))
    with pytest.raises(TooManyDatasets):
        create(connection, "1000")
    assert create(connection, "1001", owner="bo").state is State.QUEUED


def test_another_accounts_data_set_is_not_there(connection: Connection) -> None:
    create(connection, "1")
    with pytest.raises(DatasetNotFound):
        jobs.get(connection, "bo", "ds_1")
    assert not jobs.remove(connection, "bo", "ds_1")
    assert jobs.listed(connection, "bo", 10, "") == []


def test_the_oldest_is_taken_first_and_by_one_builder(connection: Connection) -> None:
    for name in ("3", "1", "2"):
        create(connection, name)
    taken = [jobs.claim(connection, f"b{n}", 10, LEASE_MS) for n in range(4)]
    assert [job.dataset_id if job else None for job in taken] == ["ds_1", "ds_2", "ds_3", None]


def test_a_lease_that_is_over_goes_to_the_next(connection: Connection) -> None:
    create(connection, "1")
    jobs.claim(connection, "b1", 0, LEASE_MS)
    jobs.hold(connection, "b1", "ds_1", 500 + LEASE_MS, Progress(Stage.EXPORT, 3, 9))
    assert jobs.claim(connection, "b2", 1_400, LEASE_MS) is None
    taken = jobs.claim(connection, "b2", 1_501, LEASE_MS)
    assert taken is not None
    assert (taken.attempts, taken.stage, taken.done, taken.total) == (2, "export", 3, 9)
    for write in (
        lambda: jobs.hold(connection, "b1", "ds_1", 9_999, Progress()),
        lambda: checkpoints.put_given(connection, "b1", "ds_1", []),
        lambda: checkpoints.put_selection(connection, "b1", "ds_1", [], [], b"{}"),
        lambda: jobs.finish(connection, "b1", "ds_1", done(), [], 1, 2),
        lambda: jobs.fail(connection, "b1", "ds_1", ("c", "d"), 1, 2),
    ):
        with pytest.raises(LeaseLost):
            write()


def test_a_replica_that_keeps_its_name_goes_on_at_once(connection: Connection) -> None:
    create(connection, "1")
    jobs.claim(connection, "b1", 0, LEASE_MS)
    assert jobs.claim(connection, "b2", 1, LEASE_MS) is None
    assert jobs.claim(connection, "b1", 1, LEASE_MS) is not None


def test_what_is_postponed_waits(connection: Connection) -> None:
    create(connection, "1")
    jobs.claim(connection, "b1", 0, LEASE_MS)
    jobs.postpone(connection, "b1", "ds_1", 5_000, ("unavailable", "down"))
    assert jobs.claim(connection, "b2", 4_999, LEASE_MS) is None
    assert jobs.get(connection, "ada", "ds_1").error_code == "unavailable"
    assert jobs.claim(connection, "b2", 5_000, LEASE_MS) is not None


def test_what_is_given_back_was_no_attempt_and_progress_forgives(connection: Connection) -> None:
    create(connection, "1")
    jobs.claim(connection, "b1", 0, LEASE_MS)
    jobs.give_back(connection, "b1", "ds_1")
    taken = jobs.claim(connection, "b2", 1, LEASE_MS)
    assert taken is not None
    assert taken.attempts == 1
    checkpoints.put_given(connection, "b2", "ds_1", [])
    assert jobs.get(connection, "ada", "ds_1").attempts == 0


def test_checkpoints_come_back_as_they_were(connection: Connection) -> None:
    create(connection, "1")
    jobs.claim(connection, "b1", 0, LEASE_MS)
    vector = np.array([0.1, -0.2, 0.3], np.float32)
    views = [GivenView("holdout", 1, 0, "s", None, "image_truncated", "torn"), GivenView("failure", 0, 1, "s", vector)]
    checkpoints.put_given(connection, "b1", "ds_1", views)
    failure, holdout = checkpoints.given_views(connection, "ds_1")
    assert failure.vector is not None
    assert failure.vector.tolist() == vector.tolist()
    assert (holdout.vector, holdout.error_code) == (None, "image_truncated")
    chosen = [ITEM] * 2_500
    checkpoints.put_selection(connection, "b1", "ds_1", chosen, [Note("x", "near_copy", "of y")], b'{"space":"s"}')
    assert checkpoints.item_count(connection, "ds_1") == 2_500
    assert checkpoints.items_from(connection, "ds_1", 2_498, 10) == [ITEM, ITEM]
    assert jobs.facts_of(connection, "ds_1") == b'{"space":"s"}'
    jobs.finish(connection, "b1", "ds_1", done(), [Note("y", "image_missing", "gone")], 7, 8)
    assert checkpoints.item_count(connection, "ds_1") == 0
    assert [note.code for note in notes.listed(connection, "ds_1")] == ["near_copy", "image_missing"]
    assert notes.by_code(connection, "ds_1") == {"near_copy": 1, "image_missing": 1}
    ended = jobs.get(connection, "ada", "ds_1")
    assert (ended.state, ended.stage, ended.done, ended.total) == (State.DONE, "pack", 1, 1)
    assert jobs.claim(connection, "b1", 99_999, LEASE_MS) is None


def test_what_has_expired_goes_and_nothing_else(connection: Connection) -> None:
    for name in ("1", "2", "3"):
        create(connection, name)
        jobs.claim(connection, "b", 0, LEASE_MS)
        if name == "1":
            jobs.finish(connection, "b", "ds_1", done(), [Note("a", "b", "c")], 0, 100)
        elif name == "2":
            jobs.fail(connection, "b", "ds_2", ("c", "d"), 0, 200)
    assert jobs.remove_expired(connection, 100, 10) == ["ds_1"]
    assert jobs.known(connection, ["ds_1", "ds_2", "ds_3"]) == {"ds_2", "ds_3"}
    assert jobs.unfinished(connection, ["ds_1", "ds_2", "ds_3"]) == {"ds_3"}
    assert notes.listed(connection, "ds_1") == []


def test_lists_come_in_pages_newest_first(connection: Connection) -> None:
    for name in ("1", "2", "3", "4", "5"):
        create(connection, name)
    assert [job.dataset_id for job in jobs.listed(connection, "ada", 2, "")] == ["ds_5", "ds_4"]
    assert [job.dataset_id for job in jobs.listed(connection, "ada", 9, "ds_4")] == ["ds_3", "ds_2", "ds_1"]
