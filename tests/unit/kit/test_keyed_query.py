import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, bindparam, insert, or_, select

from kindred_kit.adapters.keyed_query import KeyedQuery
from kindred_kit.adapters.sql import open_engine, reading, writing

words = Table("words", MetaData(), Column("word", String, primary_key=True), Column("length", Integer))
QUERY = KeyedQuery(
    select(words.c.word, words.c.length, bindparam("mark", type_=String).label("mark"))
    .where(words.c.word.in_(bindparam("keys", expanding=True)), or_(words.c.length > 2, words.c.word == "a"))
    .order_by(words.c.word),
    "keys",
)
TEXTS = ["a", "bb", "ccc", "dddd", "e'e", "f;--"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/words.db")
    with writing(engine) as connection:
        words.create(connection)
        connection.execute(insert(words), [{"word": text, "length": len(text)} for text in TEXTS])
    yield engine
    engine.dispose()


@pytest.mark.parametrize("count", range(len(TEXTS) + 1))
def test_the_driver_gives_the_rows_that_sqlalchemy_gives(engine: Engine, count: int) -> None:
    keys = TEXTS[:count]
    with reading(engine) as connection:
        driver: Any = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        direct = QUERY.fetch(driver, keys, mark="'x")
        assert direct == [tuple(row) for row in QUERY.fetch(connection, keys, mark="'x")]
    assert direct == [(text, len(text), "'x") for text in keys if len(text) > 2 or text == "a"]


def test_unknown_keys_have_no_rows_and_the_last_counts_once(engine: Engine) -> None:
    with reading(engine) as connection:
        driver: Any = connection.connection.driver_connection
        assert QUERY.fetch(driver, ["nobody", "a", "ccc"], mark="") == [("a", 1, ""), ("ccc", 3, "")]
