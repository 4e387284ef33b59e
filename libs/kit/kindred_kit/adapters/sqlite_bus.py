"""Event log in one SQLite file: the bus of a laptop. One partition a topic, one offset a consumer group."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kindred_kit.errors import Unavailable
from kindred_kit.ports.bus import Message, OutgoingMessage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  topic TEXT NOT NULL,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  payload BLOB NOT NULL,
  headers TEXT NOT NULL,
  published_ms INTEGER NOT NULL,
  PRIMARY KEY (topic, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (
  topic TEXT NOT NULL,
  consumer_group TEXT NOT NULL,
  next_position INTEGER NOT NULL,
  PRIMARY KEY (topic, consumer_group)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (topic TEXT PRIMARY KEY, next_position INTEGER NOT NULL) WITHOUT ROWID;
"""
_POLL_INTERVAL_S = 0.2
"""How soon a message of another process is seen; those of this process wake the consumers at once."""

T = TypeVar("T")


class SqliteBus:
    """Bus in a file. What every group of a topic has committed is removed, dead-letter topics are kept."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One thread owns the connection: SQLite's writes are serial anyway, and no lock is needed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bus")
        self._connection = self._thread.submit(_connect, path).result()
        self._published = asyncio.Condition()

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        if not messages:
            return
        await self._run(lambda connection: _append(connection, topic, messages))
        async with self._published:
            self._published.notify_all()

    async def published(self, topic: str) -> int:
        return await self._run(lambda connection: _end(connection, topic))

    async def kept(self, topic: str) -> Sequence[Message]:
        return await self._run(lambda connection: _kept(connection, topic))

    async def forget(self, topic: str, keys: Sequence[str]) -> None:
        await self._run(lambda connection: _forget(connection, topic, keys))

    async def consumer(self, topic: str, group: str) -> "SqliteConsumer":
        start = await self._run(lambda connection: _join(connection, topic, group))
        return SqliteConsumer(self, topic, group, start)

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_thread() -> T:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                raise Unavailable(f"the event log can't be used: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    async def _wait(self, timeout_s: float) -> None:
        async with self._published:
            try:
                await asyncio.wait_for(self._published.wait(), timeout_s)
            except TimeoutError:
                return


class SqliteConsumer:
    """The one member of a group that a file has at a time (the data directory has one owner)."""

    def __init__(self, bus: SqliteBus, topic: str, group: str, start: int) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._next = start

    async def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        deadline = time.monotonic() + timeout_s
        while True:
            messages = await self._bus._run(lambda connection: _read(connection, self._topic, self._next, max_messages))
            if messages:
                self._next = messages[-1].position + 1
                return messages
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return []
            await self._bus._wait(min(left_s, _POLL_INTERVAL_S))

    async def commit(self, messages: Sequence[Message]) -> None:
        if messages:
            following = max(message.position for message in messages) + 1
            await self._bus._run(lambda connection: _commit(connection, self._topic, self._group, following))

    async def lag(self) -> int:
        return await self._bus._run(lambda connection: _lag(connection, self._topic, self._group))

    async def aclose(self) -> None:
        return None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # the relay forgets an event once it is published
    connection.executescript(_SCHEMA)
    return connection


def _append(connection: sqlite3.Connection, topic: str, messages: Sequence[OutgoingMessage]) -> None:
    now_ms = int(time.time() * 1000)
    with _transaction(connection):
        first = _end(connection, topic)
        connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            [
                (topic, position, message.key, message.payload, json.dumps(dict(message.headers)), now_ms)
                for position, message in enumerate(messages, first)
            ],
        )
        connection.execute("INSERT OR REPLACE INTO ends VALUES (?, ?)", (topic, first + len(messages)))


def _join(connection: sqlite3.Connection, topic: str, group: str) -> int:
    with _transaction(connection):
        connection.execute("INSERT OR IGNORE INTO offsets VALUES (?, ?, 0)", (topic, group))
        return int(_offset(connection, topic, group))


def _read(connection: sqlite3.Connection, topic: str, start: int, limit: int) -> list[Message]:
    rows = connection.execute(
        "SELECT key, payload, headers, position FROM messages"
        " WHERE topic = ? AND position >= ? ORDER BY position LIMIT ?",
        (topic, start, limit),
    ).fetchall()
    return [Message(topic, key, payload, json.loads(headers), 0, position) for key, payload, headers, position in rows]


def _kept(connection: sqlite3.Connection, topic: str) -> list[Message]:
    found = _read(connection, topic, 0, -1)
    last = {message.key: message.position for message in found}
    return [message for message in found if last[message.key] == message.position]


def _forget(connection: sqlite3.Connection, topic: str, keys: Sequence[str]) -> None:
    with _transaction(connection):
        connection.executemany("DELETE FROM messages WHERE topic = ? AND key = ?", [(topic, key) for key in keys])


def _commit(connection: sqlite3.Connection, topic: str, group: str, following: int) -> None:
    with _transaction(connection):
        connection.execute(
            "UPDATE offsets SET next_position = max(next_position, ?) WHERE topic = ? AND consumer_group = ?",
            (following, topic, group),
        )
        connection.execute(
            "DELETE FROM messages WHERE topic = ?1"
            " AND position < (SELECT min(next_position) FROM offsets WHERE topic = ?1)",
            (topic,),
        )


def _lag(connection: sqlite3.Connection, topic: str, group: str) -> int:
    return _end(connection, topic) - _offset(connection, topic, group)


def _end(connection: sqlite3.Connection, topic: str) -> int:
    row = connection.execute("SELECT next_position FROM ends WHERE topic = ?", (topic,)).fetchone()
    return int(row[0]) if row else 0


def _offset(connection: sqlite3.Connection, topic: str, group: str) -> int:
    row = connection.execute(
        "SELECT next_position FROM offsets WHERE topic = ? AND consumer_group = ?", (topic, group)
    ).fetchone()
    return int(row[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
