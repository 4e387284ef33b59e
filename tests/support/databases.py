"""The database that a test's catalogue lies in: a file, or with `pytest --database=postgresql` one of a real server."""

from pathlib import Path

from support.postgres_server import PostgresServer

server: PostgresServer | None = None
"""Of the test session; tests/conftest.py starts and ends it."""


def database_url(path: Path) -> str:
    """Of the database that belongs to this path, the same at every call."""
    return f"sqlite:///{path}" if server is None else server.database(path)
