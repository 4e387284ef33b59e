"""A search filter as SQL: what it means on the catalogue's own rows, without the index and without its buckets.

`filters.matches` is the definition that this agrees with.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, false, func, not_, or_, select

from kindred_search.catalogue.reading import CHUNK, visible_claim, visible_image
from kindred_search.catalogue.tables import claims, detections, generations, images
from kindred_search.domain import EMBEDDED, State
from kindred_search.filters import (
    Condition,
    ModelCondition,
    NumberCondition,
    OrderCondition,
    PromptCondition,
    SearchFilter,
    TextCondition,
)
from kindred_search.labels import LabelTerm


def matching(connection: Connection, owner: str, image_ids: Sequence[str], wanted: SearchFilter) -> set[str]:
    """Those of these images that are embedded, that `owner` sees, and that meet the filter."""
    meets = _embedded(owner, wanted)
    found: set[str] = set()
    for start in range(0, len(image_ids), CHUNK):
        among = images.c.image_id.in_(image_ids[start : start + CHUNK])
        found.update(connection.execute(meets.where(among)).scalars())
    return found


def newest(connection: Connection, owner: str, wanted: SearchFilter, limit: int) -> list[str]:
    """The embedded images that `owner` sees and that meet the filter, last ingested first.

    Reads from the newest on until enough have passed: fast where many do.
    """
    in_order = _embedded(owner, wanted).order_by(images.c.created_at_ms.desc(), images.c.image_id.desc())
    return list(connection.execute(in_order.limit(limit)).scalars())


def newest_among(connection: Connection, owner: str, image_ids: Sequence[str], wanted: SearchFilter) -> list[str]:
    """Like `newest`, of these images alone."""
    meets = _embedded(owner, wanted).add_columns(images.c.created_at_ms)
    found: list[tuple[int, str]] = []
    for start in range(0, len(image_ids), CHUNK):
        among = images.c.image_id.in_(image_ids[start : start + CHUNK])
        found += [(row.created_at_ms, row.image_id) for row in connection.execute(meets.where(among))]
    return [image_id for _, image_id in sorted(found, reverse=True)]


def _embedded(owner: str, wanted: SearchFilter) -> Select[str]:
    # "not in": no index of states serves it, so that SQLite, which knows no frequencies, takes that of ids or of times
    searchable = images.c.state.not_in([int(state) for state in State if state not in EMBEDDED])
    return select(images.c.image_id).where(searchable, visible_image(owner), _meets(wanted, owner))


def _meets(wanted: SearchFilter, owner: str) -> ColumnElement[bool]:
    parts = [_holds(term) for term in wanted.labels_all]
    if wanted.labels_any:
        parts.append(or_(*map(_holds, wanted.labels_any)))
    parts += [not_(_holds(term)) for term in wanted.labels_none]
    parts += [_condition(condition, owner) for condition in wanted.conditions]
    if wanted.any_of:
        parts.append(or_(false(), *(_meets(branch, owner) for branch in wanted.any_of)))
    return and_(True, *parts)


def _holds(term: LabelTerm) -> ColumnElement[bool]:
    of_class = and_(
        detections.c.image_id == images.c.image_id,
        detections.c.label_set == term.label_set,
        detections.c.class_id == term.class_id,
        detections.c.score >= term.min_score,
    )
    if term.min_count == 1:
        return exists().where(of_class)
    boxes = select(func.count()).select_from(detections).where(of_class).correlate(images).scalar_subquery()
    return boxes >= term.min_count


def _condition(condition: Condition, owner: str) -> ColumnElement[bool]:
    match condition:
        case ModelCondition(keys, negated):
            made = _generated(owner, generations.c.model_key.in_(keys))
            return not_(made) if negated else made
        case PromptCondition(words):
            has_all = (generations.c.prompt_words.contains(f" {word} ", autoescape=True) for word in words)
            return _generated(owner, and_(True, *has_all))
    column: ColumnElement[object] = (
        _license(owner) if condition.field == "license" else images.c[_COLUMNS.get(condition.field, condition.field)]
    )
    match condition:
        case TextCondition(_, texts, negated):
            found = column.in_(texts)
        case NumberCondition(_, numbers, negated):
            found = column.in_([int(number) for number in numbers if number.is_integer()])
        case OrderCondition(_, ordering, number):
            return {"gt": column > number, "gte": column >= number, "lt": column < number, "lte": column <= number}[
                ordering
            ]
    return not_(found) if negated else found


_COLUMNS = {"ingested_at_ms": "created_at_ms"}


def _license(owner: str) -> ColumnElement[object]:
    """The licence of the claim that `owner` is shown."""
    return _of_shown_claim(owner, claims.c.license)


def _generated(owner: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The claim that `owner` is shown says how the image was generated, and that meets the condition."""
    claimant = _of_shown_claim(owner, claims.c.owner)
    return exists().where(generations.c.image_id == images.c.image_id, generations.c.owner == claimant, condition)


def _of_shown_claim(owner: str, column: ColumnElement[object]) -> ColumnElement[object]:
    """A column of the claim that `owner` is shown, as reading.records and access.tokens choose it."""
    return (
        select(column)
        .where(claims.c.image_id == images.c.image_id, visible_claim(owner))
        .order_by(case((claims.c.owner == owner, 0), else_=1), claims.c.created_at_ms, claims.c.owner)
        .limit(1)
        .correlate(images)
        .scalar_subquery()
    )
