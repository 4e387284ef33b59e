"""Nothing is left for a data set: which filter took it all?"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from google.protobuf.json_format import MessageToDict

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.convert import license_condition, license_types

COUNTED = 1_000
"""Counted up to here: beyond, the exact number tells nobody more."""

Count: TypeAlias = Callable[[search_pb2.Filter, float | None], Awaitable[int]]
"""How many images, up to COUNTED, pass a filter and a lowest score."""


async def reason(spec: pb.DatasetSpec, count: Count) -> str:
    """What the filters leave, one by one: with all of them, without each, and each alone."""
    lowest = spec.min_score if spec.HasField("min_score") else None
    parts = list(_parts(spec))
    names = [name for name, _ in parts]
    if lowest is not None:
        names.append(f"score at least {round(lowest, 6):g}")
    everything = await count(search_pb2.Filter(), None)
    if not names:
        return f"no image was found; {_number(everything)} may be seen at all" if everything else "the gallery is empty"
    said = []
    for left_out, name in enumerate(names):
        others = _joined([part for n, (_, part) in enumerate(parts) if n != left_out])
        without = await count(others, lowest if left_out < len(parts) else None)
        alone = _joined([parts[left_out][1]]) if left_out < len(parts) else search_pb2.Filter()
        only = await count(alone, lowest if left_out == len(parts) else None)
        said.append(f"without “{name}” {_number(without)}, with it alone {_number(only)}")
    return f"no image passes all filters: {'; '.join(said)}; without any {_number(everything)}"


def _parts(spec: pb.DatasetSpec) -> Iterator[tuple[str, search_pb2.Filter]]:
    """Each filter by itself, with a name for a person."""
    wanted = spec.filter
    for term in wanted.labels_all:
        yield f"label {_label(term)}", search_pb2.Filter(labels_all=[term])
    if wanted.labels_any:
        names = " or ".join(_label(term) for term in wanted.labels_any)
        yield f"label {names}", search_pb2.Filter(labels_any=wanted.labels_any)
    for term in wanted.labels_none:
        yield f"no label {_label(term)}", search_pb2.Filter(labels_none=[term])
    for condition in wanted.conditions:
        yield _condition(condition), search_pb2.Filter(conditions=[condition])
    if wanted.any_of:
        yield "one of the alternatives", search_pb2.Filter(any_of=wanted.any_of)
    for name in license_types(spec):
        yield f"license_type {name}", search_pb2.Filter(conditions=[license_condition(name)])


def _joined(parts: list[search_pb2.Filter]) -> search_pb2.Filter:
    joined = search_pb2.Filter()
    for part in parts:
        joined.MergeFrom(part)
    return joined


def _label(term: search_pb2.LabelTerm) -> str:
    least = f" of at least {round(term.min_score, 6):g}" if term.min_score else ""
    count = f" {term.min_count} times" if term.min_count > 1 else ""
    return f"{term.class_name}{least}{count}"


def _condition(condition: search_pb2.Condition) -> str:
    operator = search_pb2.Operator.Name(condition.operator).removeprefix("OPERATOR_").lower().replace("_", " ")
    values = [str(next(iter(MessageToDict(value).values()), "")) for value in condition.values]
    return f"{condition.field} {operator} {', '.join(values)}"


def _number(count: int) -> str:
    return f"{COUNTED:,} or more" if count >= COUNTED else f"{count:,}"
