"""Generations of the index: one active for each (space, view), another one while a reindex builds it."""

import hashlib
import re

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from kindred_search.catalogue import rows
from kindred_search.catalogue.tables import collections
from kindred_search.domain import Collection

_NAME = re.compile(r".+-[0-9a-f]{8}-g[0-9]+")
ACTIVE, BUILDING, DROPPING = "active", "building", "dropping"


_OF_VIEW = select(collections.c.name).where(collections.c.view == bindparam("of_view")).limit(1)


def is_named_by_us(name: str) -> bool:
    """A vector store may hold collections of somebody else's, too."""
    return _NAME.fullmatch(name) is not None


def ensure_collection(connection: Connection, space: str, view: str, dimension: int) -> None:
    """Begin the first generation for a view that has no index yet; the first space to arrive is the one searched."""
    if connection.execute(_OF_VIEW, {"of_view": view}).first() is None:
        _add(connection, space, view, dimension, ACTIVE)


def open_collections(connection: Connection, state: str) -> list[Collection]:
    query = select(collections).where(collections.c.state == state).order_by(collections.c.generation)
    return [rows.collection(row) for row in connection.execute(query)]


def names(connection: Connection) -> set[str]:
    """Of all generations, in whatever state."""
    return set(connection.execute(select(collections.c.name)).scalars())


def begin_generation(connection: Connection, space: str, view: str, dimension: int) -> Collection:
    """Note a new generation as being built."""
    return _add(connection, space, view, dimension, BUILDING)


def activate(connection: Connection, new: Collection) -> None:
    """Make `new` the one that is searched; what was active waits to be dropped."""
    of_view = collections.c.view == new.view
    connection.execute(update(collections).where(of_view & (collections.c.state == ACTIVE)).values(state=DROPPING))
    connection.execute(update(collections).where(collections.c.name == new.name).values(state=ACTIVE))


def abandon_building(connection: Connection) -> None:
    """A reindex that a crash has cut off is not continued: its half is dropped."""
    connection.execute(update(collections).where(collections.c.state == BUILDING).values(state=DROPPING))


def forget(connection: Connection, name: str) -> None:
    connection.execute(delete(collections).where(collections.c.name == name))


def _add(connection: Connection, space: str, view: str, dimension: int, state: str) -> Collection:
    highest = connection.execute(select(func.max(collections.c.generation))).scalar_one() or 0
    # a space's name may hold any character; a store's collection may not
    name = f"{view.replace(':', '_')}-{hashlib.sha256(space.encode()).hexdigest()[:8]}-g{highest + 1}"
    new = Collection(name, space, view, highest + 1, dimension)
    values = {
        "name": name,
        "space": space,
        "view": view,
        "generation": new.generation,
        "dimension": dimension,
        "state": state,
    }
    connection.execute(insert(collections).values(values))
    return new
