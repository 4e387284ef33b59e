"""Which items of sources are in the gallery already, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

_KEY_BYTES = 16
_CHUNK = 500


class Checkpoint:
    """A file beside the gallery: an item's identity -> the image that it became. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        # an item that a power cut takes from here is ingested once more, which changes nothing
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS done (item BLOB PRIMARY KEY, image BLOB NOT NULL) WITHOUT ROWID"
        )

    def known(self, identities: Sequence[str]) -> dict[str, str]:
        """Identity -> image id of those that are done."""
        keys = {_key(identity): identity for identity in identities}
        found: dict[str, str] = {}
        for start in range(0, len(keys), _CHUNK):
            part = list(keys)[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            rows = self._connection.execute(f"SELECT item, image FROM done WHERE item IN ({marks})", part)  # noqa: S608
            found |= {keys[item]: image.hex() for item, image in rows}
        return found

    def add(self, done: Mapping[str, str]) -> None:
        """Note items whose images are durable."""
        rows = [(_key(identity), bytes.fromhex(image_id)) for identity, image_id in done.items()]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO done VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def _key(identity: str) -> bytes:
    return bytes.fromhex(identity)[:_KEY_BYTES]
