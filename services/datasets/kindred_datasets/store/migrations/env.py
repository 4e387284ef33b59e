"""Alembic runs this for `kindred_kit.adapters.sql.upgrade`, which hands over an open connection."""

from alembic import context

from kindred_datasets.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
