"""A search filter: what a principal asked for, its translation for the index, and its exact meaning on a record."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kindred_search import access, generating, labels
from kindred_search.domain import ImageRecord
from kindred_search.labels import LabelTerm
from kindred_search.vectors.port import And, Compare, IndexFilter, Not, NumberColumn, OneOf, Or, TextColumn

Ordering = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class TextCondition:
    """A text is one of `values`, or, negated, none of them."""

    field: TextColumn | Literal["license"]
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class NumberCondition:
    """A number is one of `values`, or, negated, none of them."""

    field: NumberColumn
    values: tuple[float, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OrderCondition:
    field: NumberColumn
    ordering: Ordering
    value: float


@dataclass(frozen=True, slots=True)
class ModelCondition:
    """The generating model is one of `keys` (generating.model_key), or, negated, none of them, also where none is."""

    keys: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class PromptCondition:
    """The prompt has all of these words (generating.words)."""

    words: tuple[str, ...]


Condition = TextCondition | NumberCondition | OrderCondition | ModelCondition | PromptCondition


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """All that is set must hold; of `any_of`, if there are any, at least one."""

    labels_all: tuple[LabelTerm, ...] = ()
    labels_any: tuple[LabelTerm, ...] = ()
    labels_none: tuple[LabelTerm, ...] = ()
    conditions: tuple[Condition, ...] = ()
    any_of: tuple["SearchFilter", ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the index decides it; otherwise each hit is checked with `matches`."""
        terms = (*self.labels_all, *self.labels_any, *self.labels_none)
        by_claim = any(isinstance(condition, ModelCondition | PromptCondition) for condition in self.conditions)
        return not by_claim and all(term.exact for term in terms) and all(branch.exact for branch in self.any_of)


def to_index(wanted: SearchFilter, owner: str) -> IndexFilter:
    """For the index: misses nothing that matches, and passes too much only if the filter is not `exact`."""
    return And((access.visible_to(owner), *_parts(wanted, owner)))


def matches(wanted: SearchFilter, record: ImageRecord) -> bool:
    """Whether an image, as the principal sees it, meets the filter."""
    return (
        all(labels.holds(term, record.labels) for term in wanted.labels_all)
        and (not wanted.labels_any or any(labels.holds(term, record.labels) for term in wanted.labels_any))
        and not any(labels.holds(term, record.labels) for term in wanted.labels_none)
        and all(_condition_holds(condition, record) for condition in wanted.conditions)
        and (not wanted.any_of or any(matches(branch, record) for branch in wanted.any_of))
    )


def _parts(wanted: SearchFilter, owner: str) -> Iterator[IndexFilter]:
    if wanted.labels_all or wanted.labels_any or wanted.labels_none:
        yield labels.candidates(wanted.labels_all, wanted.labels_any, wanted.labels_none)
    for condition in wanted.conditions:
        yield _condition(condition, owner)
    if wanted.any_of:
        yield Or(tuple(And(tuple(_parts(branch, owner))) for branch in wanted.any_of))


def _condition(condition: Condition, owner: str) -> IndexFilter:
    match condition:
        case TextCondition("license", values, negated):
            found: IndexFilter = access.license_in(owner, values)
        case TextCondition(field, values, negated):
            found = OneOf(field, values)  # type: ignore[arg-type]  # license is the case above
        case NumberCondition(field, numbers, negated):
            whole = [int(value) for value in numbers if value.is_integer()]  # the fields hold integers
            found = Or(tuple(And((Compare(field, "gte", value), Compare(field, "lte", value))) for value in whole))
        case OrderCondition(field, ordering, number):
            return _order(field, ordering, number)
        case ModelCondition(keys, negated):  # another claim may name one of them: that decides nothing
            return And(()) if negated else generating.of_models(keys)
        case PromptCondition(words):
            return And(tuple(generating.with_word(word) for word in words))
    return Not(found) if negated else found


def _order(field: NumberColumn, ordering: Ordering, number: float) -> IndexFilter:
    match ordering:
        case "gt":
            return Compare(field, "gte", math.floor(number) + 1)
        case "gte":
            return Compare(field, "gte", math.ceil(number))
        case "lt":
            return Compare(field, "lte", math.ceil(number) - 1)
        case "lte":
            return Compare(field, "lte", math.floor(number))


def _condition_holds(condition: Condition, record: ImageRecord) -> bool:
    match condition:
        case TextCondition(field, values, negated):
            held = record.claim.rights.license if field == "license" else str(getattr(record, field))
            return (held in values) is not negated
        case NumberCondition(field, numbers, negated):
            return (getattr(record, field) in numbers) is not negated
        case OrderCondition(field, ordering, number):
            value: int = getattr(record, field)
            return {"gt": value > number, "gte": value >= number, "lt": value < number, "lte": value <= number}[
                ordering
            ]
        case ModelCondition(keys, negated):
            said = record.claim.generation
            return (said is not None and generating.model_key(said.model) in keys) is not negated
        case PromptCondition(words):
            said = record.claim.generation
            return said is not None and set(words) <= set(generating.words(said.prompt))
