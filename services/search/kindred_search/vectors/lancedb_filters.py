"""Index filters as LanceDB's SQL. Columns and operators come from our own types, texts are quoted, numbers are ints."""

from kindred_search.vectors.port import And, Compare, HasAny, IndexFilter, Not, OneOf, Or

_OPERATORS = {"gte": ">=", "lte": "<="}


def to_sql(where: IndexFilter) -> str:
    """The SQL condition. Parts without any element become the constants that they mean."""
    match where:
        case HasAny(column, tokens):
            return f"array_has_any({column}, [{_texts(tokens)}])" if tokens else "false"
        case OneOf(column, values):
            return f"{column} IN ({_texts(values)})" if values else "false"
        case Compare(column, comparison, value):
            return f"{column} {_OPERATORS[comparison]} {int(value)}"
        case And(parts):
            return _joined(" AND ", parts, "true")
        case Or(parts):
            return _joined(" OR ", parts, "false")
        case Not(part):
            return f"NOT ({to_sql(part)})"


def in_list(image_ids: tuple[str, ...] | list[str]) -> str:
    """Rows with these ids."""
    return f"image_id IN ({_texts(tuple(image_ids))})"


def _joined(operator: str, parts: tuple[IndexFilter, ...], empty: str) -> str:
    return operator.join(f"({to_sql(part)})" for part in parts) or empty


def _texts(values: tuple[str, ...]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
