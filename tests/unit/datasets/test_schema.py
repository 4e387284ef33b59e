"""The migrations and the tables that the code uses are the same schema."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from support.databases import database_url

from kindred_datasets.app import MIGRATIONS
from kindred_datasets.store.tables import metadata
from kindred_kit.adapters.sql import open_engine, reading, upgrade, version_table


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path / "d.db"))
    upgrade(engine, MIGRATIONS)
    upgrade(engine, MIGRATIONS)  # nothing to do
    with reading(engine) as connection:
        known = MigrationContext.configure(connection, opts={"version_table": version_table(engine, MIGRATIONS)})
        assert compare_metadata(known, metadata) == []
