"""What only a real server can show: transactions in each other's way, locks among processes, a server that dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from support.postgres_server import PostgresServer

from kindred_kit.adapters.sql import Database, open_engine, reading, upgrade
from kindred_kit.errors import InvalidArgument, Unavailable
from kindred_search.catalogue.engine import MIGRATIONS


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    engine = open_engine(url)
    database = Database(engine, MIGRATIONS)
    yield database
    await database.aclose()
    engine.dispose()


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path) -> str:
    return postgres.database(tmp_path / "x.db")


def make_counters(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE counters (name text PRIMARY KEY, n bigint NOT NULL)"))
    connection.execute(text("INSERT INTO counters VALUES ('a', 0), ('b', 0)"))


def values(connection: Connection) -> dict[str, int]:
    return {row.name: row.n for row in connection.execute(text("SELECT name, n FROM counters"))}


async def test_transactions_that_lock_each_other_out_run_again(url: str) -> None:
    def add(connection: Connection, *names: str) -> None:
        for name in names:
            connection.execute(text("UPDATE counters SET n = n + 1 WHERE name = :name"), {"name": name})
            connection.execute(text("SELECT pg_sleep(.05)"))

    async with opened(url) as database:
        await database.write(make_counters)
        await asyncio.gather(*[database.write(add, *names) for names in (("a", "b"), ("b", "a")) for _ in range(2)])
        assert await database.read(values) == {"a": 4, "b": 4}


async def test_a_row_that_two_insert_at_once_is_found_by_the_second(url: str) -> None:
    def add(connection: Connection) -> bool:
        if connection.execute(text("SELECT 1 FROM counters WHERE name = 'new'")).first() is not None:
            return False
        connection.execute(text("SELECT pg_sleep(.1)"))
        connection.execute(text("INSERT INTO counters VALUES ('new', 1)"))
        return True

    async with opened(url) as database:
        await database.write(make_counters)
        assert sorted(await asyncio.gather(*[database.write(add) for _ in range(3)])) == [False, False, True]


async def test_a_read_is_one_view_and_writes_nothing(url: str) -> None:
    seen, changed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def twice(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
        first = values(connection)
        loop.call_soon_threadsafe(seen.set)
        asyncio.run_coroutine_threadsafe(changed.wait(), loop).result()
        return first, values(connection)

    async with opened(url) as database:
        await database.write(make_counters)
        reading_twice = asyncio.create_task(database.read(twice))
        await seen.wait()
        await database.write(lambda connection: connection.execute(text("UPDATE counters SET n = 9")).rowcount)
        changed.set()
        first, second = await reading_twice
        assert first == second
        with pytest.raises(Unavailable, match="no writes"):
            await database.read(lambda connection: connection.execute(text("UPDATE counters SET n = 0")).rowcount)


async def test_one_process_at_a_time_does_a_work(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        async with one.alone("relay") as first, two.alone("relay") as second, two.alone("another") as other:
            assert (first, second, other) == (True, False, True)
        async with two.alone("relay") as second:
            assert second
        with pytest.raises(ZeroDivisionError):
            async with one.alone("relay"):
                raise ZeroDivisionError
        async with two.alone("relay") as second:
            assert second


async def test_many_processes_migrate_once(url: str) -> None:
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(url)) for _ in range(4)]
        await asyncio.gather(*[database.open() for database in databases])
        count = text("SELECT count(*) FROM kindred_search_version")
        assert await databases[0].read(lambda connection: connection.execute(count).scalar_one()) == 1


async def test_two_services_share_a_database(url: str) -> None:
    engine = open_engine(url)
    for package in (MIGRATIONS, "kindred_datasets.store.migrations"):
        upgrade(engine, package)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM images")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM datasets")).scalar_one() == 0
    engine.dispose()


async def test_a_database_that_sorts_by_a_language_is_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LC_COLLATE 'C'")
    async with opened(postgres.url("icu")) as database:
        with pytest.raises(InvalidArgument, match="LC_COLLATE 'C'"):
            await database.open()


async def test_what_no_text_can_hold_is_the_callers_fault(url: str) -> None:
    async with opened(url) as database:
        with pytest.raises(InvalidArgument):
            await database.read(lambda connection: connection.execute(text("SELECT :x"), {"x": "a\0b"}).scalar())


async def test_a_server_that_was_killed_is_unavailable_and_then_goes_on(
    mortal_postgres: PostgresServer, tmp_path: Path
) -> None:
    async with opened(mortal_postgres.database(tmp_path / "x.db")) as database:
        await database.write(make_counters)
        await asyncio.gather(*[database.read(values) for _ in range(4)])  # connections that will be dead
        mortal_postgres.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            await database.read(values)
        mortal_postgres.start()
        assert await asyncio.gather(*[database.read(values) for _ in range(4)]) == [{"a": 0, "b": 0}] * 4


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/x", "postgresql"])
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidArgument, match="postgresql://"):
        open_engine(url)
