"""Troubles of the disk are told apart, whoever raises them."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from kindred_kit.errors import KindredError, StorageDamaged, StorageFull, StorageReadOnly, storage_error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/ada/x"), StorageFull),
        (RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)"), StorageFull),
        (sqlite3.OperationalError("database or disk is full"), StorageFull),
        (sqlite3.OperationalError("attempt to write a readonly database"), StorageReadOnly),
    ],
)
def test_what_ails_the_storage_is_named_without_its_path(error: Exception, kind: type[KindredError]) -> None:
    found = storage_error(error)
    assert type(found) is kind
    assert "/" not in found.detail


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite3.connect(tmp_path / "x.db").execute("SELECT * FROM sqlite_master")
    assert isinstance(storage_error(caught.value), StorageDamaged)


def test_any_other_error_is_none_of_them() -> None:
    assert storage_error(ValueError("no such column")) is None
