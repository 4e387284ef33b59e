"""Alembic runs this for `kindred_kit.adapters.sql.upgrade`, which hands over an open connection."""

from alembic import context

from kindred_datasets.store.tables import metadata

attributes = context.config.attributes
connection = attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=attributes["version_table"],
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
