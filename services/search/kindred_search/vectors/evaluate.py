"""What an index filter means: the definition in Python that every adapter has to agree with."""

from kindred_search.vectors.port import And, Compare, HasAny, IndexFilter, Not, OneOf, Or, Row


def passes(row: Row, where: IndexFilter) -> bool:
    """Whether a row passes the filter."""
    match where:
        case HasAny(column, tokens):
            return not set(tokens).isdisjoint(getattr(row, column))
        case OneOf(column, values):
            return getattr(row, column) in values
        case Compare(column, comparison, value):
            held: int = getattr(row, column)
            return held >= value if comparison == "gte" else held <= value
        case And(parts):
            return all(passes(row, part) for part in parts)
        case Or(parts):
            return any(passes(row, part) for part in parts)
        case Not(part):
            return not passes(row, part)
