"""The catalogue's database: the kit's, with the migrations of this package."""

from sqlalchemy import Engine

from kindred_kit.adapters import sql
from kindred_kit.adapters.sql import open_engine, reading, upsert, writing

__all__ = ["MIGRATIONS", "open_engine", "reading", "upgrade", "upsert", "writing"]

MIGRATIONS = "kindred_search.catalogue.migrations"


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version; nothing happens where it is already."""
    sql.upgrade(engine, MIGRATIONS)
