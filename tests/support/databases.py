"""The database that a test's catalogue lies in: a file, or with `pytest --database=postgresql` one of a real server."""

import shutil
from collections.abc import Callable
from pathlib import Path

from support.postgres_server import PostgresServer

server: PostgresServer | None = None
"""Of the test session; tests/conftest.py starts and ends it."""


def database_url(path: Path) -> str:
    """Of the database that belongs to this path, the same at every call."""
    return f"sqlite:///{path}" if server is None else server.database(path)


def lose(path: Path) -> None:
    """What an accident does. Nobody may have it open."""
    if server is not None:
        server.lose(path)
        return
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def backup(path: Path) -> Callable[[], None]:
    """As it is now; the call puts it back. Nobody may have it open."""
    if server is not None:
        return server.backup(path)
    kept = path.parent / "backup"
    kept.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, kept)

    def put_back() -> None:
        lose(path)
        for file in kept.iterdir():
            shutil.copy(file, path.parent)

    return put_back
