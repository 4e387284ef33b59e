"""Alembic runs this for `kindred_search.catalogue.engine.upgrade`, which hands over an open connection."""

from alembic import context

from kindred_search.catalogue.tables import metadata

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
