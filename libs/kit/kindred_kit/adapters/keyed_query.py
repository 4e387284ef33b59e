"""Rows by their keys, as every page of a search needs them, without SQLAlchemy's share of the work on SQLite.

After an idle moment, when no code is in the processor's caches, SQLAlchemy takes .6 of the 1 ms that the rows of ten
images take; SQLite itself takes .1.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import ExpandedState

AnyConnection: TypeAlias = Connection | sqlite3.Connection
"""A transaction of any database, or the driver's own connection to SQLite."""


class KeyedQuery:
    """A SELECT with an expanding parameter `keys` and others by name; all of plain types: texts, numbers, bytes."""

    def __init__(self, statement: Select[Any], keys: str) -> None:
        self._statement = statement
        self._keys = keys
        self._compiled = statement.compile(dialect=sqlite.dialect())
        self._expanded: dict[int, ExpandedState] = {}

    def fetch(self, connection: AnyConnection, keys: Sequence[str], **values: Any) -> Sequence[Sequence[Any]]:
        """All rows of these keys, as tuples in the order of the columns."""
        if not keys:
            return []
        if isinstance(connection, sqlite3.Connection):
            return self._fetch_directly(connection, keys, values)
        return connection.execute(self._statement, {self._keys: keys, **values}).all()

    def _fetch_directly(
        self, connection: sqlite3.Connection, keys: Sequence[str], values: dict[str, Any]
    ) -> Sequence[Sequence[Any]]:
        size = (
            1 << (len(keys) - 1).bit_length()
        )  # filled up with the last one: few statements, which SQLite keeps ready
        if size not in self._expanded:
            unset = dict.fromkeys(values)
            self._expanded[size] = self._compiled.construct_expanded_state({self._keys: [""] * size, **unset})
        ready = self._expanded[size]
        filled = (*keys, *[keys[-1]] * (size - len(keys)))
        given = {**ready.parameters, **values, **dict(zip(ready.parameter_expansion[self._keys], filled, strict=True))}
        return connection.execute(ready.statement, [given[name] for name in ready.positiontup or ()]).fetchall()
