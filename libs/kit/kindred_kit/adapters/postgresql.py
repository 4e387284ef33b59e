"""PostgreSQL, where it differs from SQLite: connections, locks among processes, and what its errors mean."""

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection

from kindred_kit.errors import InvalidArgument, KindredError, StorageFull, Unavailable

_AGAIN = {"40001", "40P01", "23505"}
"""Serialization failure, deadlock, and a key that another transaction inserted at the same moment: a transaction that
runs again sees what the other one did."""

_KEY = "hashtextextended(current_schema() || ' ' || %s, 0)"
"""Of an advisory lock, by its name: each schema of a database is a gallery of its own."""

_SESSION = {
    # the deadlines of calls are 30 s: nobody waits for the answer of a statement that takes much longer
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}
_DRIVER = {
    "connect_timeout": 5,
    "application_name": "kindred",
    "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    # a host that went away without a word is noticed within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def open_engine(url: URL, connections: int) -> Engine:
    """`connections`: as many as there are threads that use them; one that the server has closed is opened again."""
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args=_DRIVER,
    )


def prepare_migration(connection: Connection, package: str) -> None:
    """Let one process at a time migrate, the others wait for it. Raises InvalidArgument for an unfit database."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # of many millions of rows
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_KEY})", (package,))
    query = "SELECT 'B' < 'a' AND '9' < ':', current_setting('server_encoding')"
    by_bytes, encoding = connection.exec_driver_sql(query).one()
    if not by_bytes or encoding != "UTF8":
        raise InvalidArgument(
            f"the database ({encoding}) does not sort texts byte by byte, as ids are compared. Make it with: "
            "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        )


def try_lock(connection: Connection, name: str) -> bool:
    """Take the lock for as long as the connection lives, or until `unlock`."""
    return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_KEY})", (name,)).scalar_one())


def unlock(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_KEY})", (name,))


def again(error: DBAPIError) -> bool:
    """Whether the transaction was undone for the sake of another one and may well succeed now."""
    return _state(error) in _AGAIN


def situation(error: SQLAlchemyError) -> KindredError | None:
    """What a caller can make of it; None for a fault of the program. The answer holds no address and no password."""
    if isinstance(error, NoConnection):
        return Unavailable("the database is too busy: all connections are taken")
    if not isinstance(error, DBAPIError):
        return None
    state = _state(error)
    if state == "53100":
        return StorageFull("the disk of the database is full")
    if state == "25006":  # the other server takes over, or an operator looks at this one
        return Unavailable("the database takes no writes now")
    if state in {"22021", "22P05"} or "NUL (0x00)" in str(error.orig):
        return InvalidArgument("a text holds a character that can't be kept")
    if error.connection_invalidated or (state == "" and type(error.orig).__name__ == "OperationalError"):
        return Unavailable("the database does not answer")
    if state[:2] in {"08", "40", "53", "55", "57"}:
        return Unavailable(f"the database can't do this now (SQLSTATE {state})")
    return None


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
