"""A service's database: engine, durability, transactions for asynchronous callers, differences of SQL dialects."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Insert, PoolProxiedConnection, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite

from kindred_kit.adapters.keyed_query import AnyConnection

BUSY_TIMEOUT_MS = 30_000
"""How long a write waits for another process's (a backup, a second tool) before it fails."""

THREADS = 4
"""Transactions are a millisecond of work; more threads only queue for the interpreter."""

_WRITE = "kindred_write"

P = ParamSpec("P")
T = TypeVar("T")


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///path.db` or `postgresql+psycopg://…`. A commit that returned survives a power cut."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself: _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # accepted means durable
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")  # 64 MiB
    cursor.execute("PRAGMA mmap_size=1073741824")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # a write takes its lock at once: upgrading a read lock later fails instead of waiting
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction: committed at the end of the block, rolled back on an error."""
    with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: one consistent view."""
    with engine.connect() as connection, connection.begin():
        yield connection


def upgrade(engine: Engine, package: str) -> None:
    """Bring the schema to the newest of `package`'s migrations; nothing happens where it is already."""
    with as_file(files(package)) as folder, writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] = ()
) -> None:
    """Insert rows, or overwrite those of the same primary key; columns in `keep` stay as they were."""
    if not rows:
        return
    statement = _upsert_statement(connection.dialect.name, table, tuple(rows[0]), tuple(keep))
    connection.execute(statement, [dict(row) for row in rows])


@lru_cache(maxsize=64)
def _upsert_statement(dialect: str, table: Table, names: tuple[str, ...], keep: tuple[str, ...]) -> Insert:
    """Built once: putting it together costs more than running it."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in {*keys, *keep}}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


class Database:
    """Functions that take a connection first, each call one transaction on a small thread pool."""

    def __init__(self, engine: Engine, migrations: str) -> None:
        """`migrations`: the package of the schema's history, which `open` runs. The engine stays its owner's."""
        self._engine = engine
        self._migrations = migrations
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="sql-read")
        # SQLite has one writer at a time: waiting here is fair and costs nothing, waiting in its busy handler sleeps
        writers = 1 if engine.dialect.name == "sqlite" else THREADS
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="sql-write")
        self._direct: PoolProxiedConnection | None = None

    async def open(self) -> None:
        """Bring the schema up to date."""
        await asyncio.get_running_loop().run_in_executor(self._writers, upgrade, self._engine, self._migrations)
        if self._engine.dialect.name == "sqlite":
            self._direct = self._engine.raw_connection()

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a read transaction."""

        def run() -> T:
            with reading(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def read_few(
        self, function: Callable[Concatenate[AnyConnection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of KeyedQuery for a page of rows, each of its queries a view of its own.

        SQLite answers in the caller's thread: to hand .2 ms of work to another one and back takes twice that, and most
        of it would hold the interpreter's lock there too. A database across the network is waited for in a thread.
        """
        if self._direct is None:
            return await self.read(function, *args, **kwargs)
        driver: Any = self._direct.driver_connection
        return function(driver, *args, **kwargs)

    async def write(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a write transaction; durable when this returns."""

        def run() -> T:
            with writing(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._writers, run)

    async def aclose(self) -> None:
        """Wait for what runs."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._writers.shutdown)
