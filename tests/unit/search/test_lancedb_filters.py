import pytest

from kindred_search.vectors.lancedb_filters import in_list, to_sql, without_what_always_holds
from kindred_search.vectors.port import And, Compare, HasAny, IndexFilter, Not, OneOf, Or

CASES: list[tuple[IndexFilter, str]] = [
    (HasAny("access", ("public", "o:a")), "array_has_any(access, ['public', 'o:a'])"),
    (HasAny("labels", ()), "false"),
    (OneOf("origin", ("photo",)), "origin IN ('photo')"),
    (OneOf("format", ()), "false"),
    (Compare("width", "gte", 10), "width >= 10"),
    (Compare("ingested_at_ms", "lte", -1), "ingested_at_ms <= -1"),
    (And(()), "true"),
    (Or(()), "false"),
    (Not(OneOf("origin", ("photo",))), "NOT (origin IN ('photo'))"),
    (
        And((Or((Compare("width", "gte", 1), Compare("height", "lte", 2))), Not(And(())))),
        "((width >= 1) OR (height <= 2)) AND (NOT (true))",
    ),
]


@pytest.mark.parametrize(("where", "sql"), CASES)
def test_each_filter_has_its_sql(where: IndexFilter, sql: str) -> None:
    assert to_sql(where) == sql


@pytest.mark.parametrize("text", ["') OR true --", "a'b", "''", "'", "\\'"])
def test_a_quote_never_ends_the_text(text: str) -> None:
    for sql in (to_sql(OneOf("origin", (text,))), to_sql(HasAny("labels", (text,))), in_list([text])):
        inside = sql[sql.index("'") + 1 : sql.rindex("'")]
        assert inside.replace("''", "'") == text
        assert inside.count("'") == 2 * text.count("'")


PUBLIC_OR_OWN = HasAny("access", ("public", "o:a"))
LABELLED = HasAny("labels", ("public",))


def test_what_every_row_has_need_not_be_asked() -> None:
    everywhere = frozenset({"public"})
    assert without_what_always_holds(PUBLIC_OR_OWN, everywhere) == And(())
    assert without_what_always_holds(And((PUBLIC_OR_OWN, LABELLED)), everywhere) == And((LABELLED,))
    assert without_what_always_holds(And((And((PUBLIC_OR_OWN,)), LABELLED)), everywhere) == And((LABELLED,))


@pytest.mark.parametrize(
    "where", [Not(PUBLIC_OR_OWN), Or((PUBLIC_OR_OWN, LABELLED)), LABELLED, HasAny("access", ("o:b",))]
)
def test_the_rest_stays_as_it_is(where: IndexFilter) -> None:
    assert without_what_always_holds(where, frozenset({"public"})) == where
    assert without_what_always_holds(And((PUBLIC_OR_OWN,)), frozenset({"o:b"})) == And((PUBLIC_OR_OWN,))
