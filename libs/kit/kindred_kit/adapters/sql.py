"""A service's database: engine, durability, transactions for asynchronous callers, differences of SQL dialects."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Insert, PoolProxiedConnection, Table, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from kindred_kit.adapters import postgresql
from kindred_kit.adapters.keyed_query import AnyConnection
from kindred_kit.errors import InvalidArgument
from kindred_kit.telemetry import get_logger

BUSY_TIMEOUT_MS = 30_000
"""How long a write waits for another process's (a backup, a second tool) before it fails."""

THREADS = 4
"""Transactions are a millisecond of work; more threads only queue for the interpreter."""

CONNECTIONS = 2 * THREADS + 2
"""To a database across the network, of one process: one a thread, one that holds a lock, and one to spare."""

_WRITE = "kindred_write"
_ATTEMPTS = 5
_BACKOFF_S = 0.02
_READING: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}  # SQLite reads like this anyway
}

P = ParamSpec("P")
T = TypeVar("T")


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///path.db` or `postgresql+psycopg://…`. A commit that returned survives a power cut."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidArgument("not a database's URL: sqlite:///path.db or postgresql://user@host/name") from None
    if parsed.get_backend_name() == "postgresql":
        return postgresql.open_engine(parsed, CONNECTIONS)
    if parsed.get_backend_name() != "sqlite":
        raise InvalidArgument(
            f"no database is reached by {parsed.drivername}://; there are sqlite:// and postgresql://"
        )
    engine = create_engine(parsed)
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
    with engine.connect().execution_options(**_READING.get(engine.dialect.name, {})) as connection, connection.begin():
        yield connection


def upgrade(engine: Engine, package: str) -> None:
    """Bring the schema to the newest of `package`'s migrations; nothing happens where it is already."""
    with as_file(files(package)) as folder, writing(engine) as connection:
        config = Config()
        config.attributes["version_table"] = version_table(engine, package)
        if engine.dialect.name == "postgresql":
            postgresql.prepare_migration(connection, package)
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version_table(engine: Engine, package: str) -> str:
    """Where a schema's version is noted: several services may share a database across the network, never a file."""
    return "alembic_version" if engine.dialect.name == "sqlite" else f"{package.partition('.')[0]}_version"


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
    statement: Any = sqlite_insert(table) if dialect == "sqlite" else postgresql_insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in {*keys, *keep}}
    built: Insert = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return built


def _again(work: Callable[[], T]) -> T:
    """Until nobody else was in the way."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return work()
        except DBAPIError as error:
            if not postgresql.again(error):
                raise
            time.sleep(_BACKOFF_S * 2**attempt * random.random())
    return work()


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
        """Bring the schema up to date. Raises InvalidArgument for a database that is unfit, Unavailable."""
        await self._in(self._writers, lambda: upgrade(self._engine, self._migrations))
        if self._engine.dialect.name == "sqlite":
            self._direct = self._engine.raw_connection()

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, …)` in a read transaction. Raises Unavailable."""

        def run() -> T:
            with reading(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await self._in(self._readers, run)

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
        """Run `function(connection, …)` in a write transaction; durable when this returns. Raises Unavailable.

        It runs again where another transaction was in its way, so that it must do nothing but use the connection.
        """

        def run() -> T:
            with writing(self._engine) as connection:
                return function(connection, *args, **kwargs)

        return await self._in(self._writers, lambda: _again(run))

    @asynccontextmanager
    async def alone(self, work: str) -> AsyncIterator[bool]:
        """Whether no other process does `work`; until the end of the block, or the loss of the connection, none will.

        A file has one owning process anyway.
        """
        if self._engine.dialect.name == "sqlite":
            yield True
            return
        connection = await self._in(self._writers, self._engine.connect)
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            locked = await self._in(self._writers, lambda: postgresql.try_lock(connection, work))
            try:
                yield locked
            finally:
                if locked:
                    await self._in(self._writers, lambda: postgresql.unlock(connection, work))
        except BaseException:
            connection.invalidate()  # a pooled one would keep the lock
            raise
        finally:
            await asyncio.get_running_loop().run_in_executor(self._writers, connection.close)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except SQLAlchemyError as error:
            if self._engine.dialect.name == "sqlite" or (known := postgresql.situation(error)) is None:
                raise
            get_logger("database").warning("no answer", code=known.code, error=str(getattr(error, "orig", error)))
            raise known from error

    async def aclose(self) -> None:
        """Wait for what runs."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._writers.shutdown)
