"""The migrations and the tables that the code uses are the same schema."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from support.databases import database_url

from kindred_kit.adapters.sql import version_table
from kindred_search.catalogue.engine import MIGRATIONS, open_engine, reading, upgrade, writing
from kindred_search.catalogue.tables import metadata


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path / "c.db"))
    upgrade(engine)
    upgrade(engine)  # nothing to do
    with reading(engine) as connection:
        known = MigrationContext.configure(connection, opts={"version_table": version_table(engine, MIGRATIONS)})
        assert compare_metadata(known, metadata) == []


def test_a_commit_is_durable_and_keys_are_enforced(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/c.db")
    with writing(engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "foreign_keys")
        }
        assert pragmas == {"synchronous": 2, "foreign_keys": 1}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
