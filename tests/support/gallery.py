"""A gallery of seeded images of two accounts, and what a filter and a search over it mean, computed plainly."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from kindred.search.v1 import search_pb2 as pb
from kindred_search.catalogue.deriving import put_derived
from kindred_search.convert import derived
from kindred_search.convert import new_image as to_new_image
from support.search_service import COCO, DIMENSION, SPACE, SearchService, embedding, image_id, labels, new_image, unit

LICENSES = ("cc0", "by", "by-nc")
FORMATS = ("jpeg", "png")
OWNERS = ("ada", "bo")


@dataclass
class Item:
    """`sent` is the embedding before it was stored; `claims`: owner -> (visibility, licence), oldest first."""

    name: str
    sent: NDArray[np.float32]
    boxes: list[tuple[str, float]]
    width: int
    format: str
    claims: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def image_id(self) -> str:
        return image_id(self.name)

    @property
    def vector(self) -> NDArray[np.float32]:
        return unit(self.sent.astype(np.float16).astype(np.float32))

    def license_for(self, owner: str) -> str | None:
        """The licence that this owner is shown; None where it does not see the image."""
        if owner in self.claims:
            return self.claims[owner][1]
        return next((license_id for seen, license_id in self.claims.values() if seen == pb.VISIBILITY_PUBLIC), None)


def make_items(count: int, seed: int = 5) -> list[Item]:
    rng = np.random.default_rng(seed)
    items = []
    for n in range(count):
        item = Item(
            name=f"item {n}",
            sent=unit(rng.standard_normal(DIMENSION)),
            boxes=[_box(rng) for _ in range(rng.integers(0, 6))],
            width=int(rng.integers(1, 20)) * 100,
            format=str(rng.choice(FORMATS)),
        )
        for owner in rng.permutation(OWNERS)[: rng.integers(1, 3)]:
            item.claims[str(owner)] = (int(rng.integers(1, 3)), str(rng.choice(LICENSES)))
        items.append(item)
    return items


def _box(rng: np.random.Generator) -> tuple[str, float]:
    score = rng.choice([rng.random(), rng.integers(0, 21) / 20])
    return str(rng.choice(COCO[:4])), float(np.float32(score))


async def put(service: SearchService, items: Sequence[Item]) -> None:
    """In few transactions; the first claim of an image is the older one."""
    for turn in range(len(OWNERS)):
        for owner in OWNERS:
            mine = [item for item in items if list(item.claims)[turn : turn + 1] == [owner]]
            if mine:
                await service.app.catalogue.accept(owner, [to_new_image(_new(item, owner)) for item in mine])

    def derive_all(connection: Connection) -> None:
        for item in items:
            found = pb.Derived.ViewEmbedding(view="whole", space=SPACE, embedding=embedding(item.sent))
            request = pb.Derived(image_id=item.image_id, seq=1, embeddings=[found], labels=[labels(item.boxes)])
            assert not put_derived(connection, derived(request))

    await service.app.catalogue.write(derive_all)
    await service.settle()
    await service.vectors.build_indexes((await service.status()).index_version)


def _new(item: Item, owner: str) -> pb.NewImage:
    visibility, license_id = item.claims[owner]
    return new_image(item.name, visibility=visibility, license=license_id, width=item.width, format=item.format)


def passing(items: Sequence[Item], owner: str, wanted: pb.Filter) -> list[Item]:
    return [item for item in items if item.license_for(owner) is not None and meets(item, owner, wanted)]


def meets(item: Item, owner: str, wanted: pb.Filter) -> bool:
    def holds(term: pb.LabelTerm) -> bool:
        of_class = [score for name, score in item.boxes if name == term.class_name and score >= term.min_score]
        return len(of_class) >= max(term.min_count, 1)

    return (
        all(map(holds, wanted.labels_all))
        and (not wanted.labels_any or any(map(holds, wanted.labels_any)))
        and not any(map(holds, wanted.labels_none))
        and all(_condition_holds(item, owner, condition) for condition in wanted.conditions)
        and (not wanted.any_of or any(meets(item, owner, branch) for branch in wanted.any_of))
    )


def _condition_holds(item: Item, owner: str, condition: pb.Condition) -> bool:
    held: Any = item.license_for(owner) if condition.field == "license" else getattr(item, condition.field)
    values = [value.text if value.WhichOneof("of") == "text" else value.number for value in condition.values]
    return {
        pb.OPERATOR_EQ: lambda: held == values[0],
        pb.OPERATOR_NE: lambda: held != values[0],
        pb.OPERATOR_GT: lambda: held > values[0],
        pb.OPERATOR_GTE: lambda: held >= values[0],
        pb.OPERATOR_LT: lambda: held < values[0],
        pb.OPERATOR_LTE: lambda: held <= values[0],
        pb.OPERATOR_IN: lambda: held in values,
        pb.OPERATOR_NOT_IN: lambda: held not in values,
    }[condition.operator]()


def random_filter(rng: np.random.Generator, depth: int = 0) -> pb.Filter:
    terms = [[_term(rng) for _ in range(rng.integers(0, 2))] for _ in range(3)]
    branches = [random_filter(rng, depth + 1) for _ in range(rng.integers(0, 3))] if depth < 1 else []
    conditions = [_condition(rng) for _ in range(rng.integers(0, 2))]
    return pb.Filter(
        labels_all=terms[0], labels_any=terms[1], labels_none=terms[2], conditions=conditions, any_of=branches
    )


def _term(rng: np.random.Generator) -> pb.LabelTerm:
    score = rng.integers(0, 21) / 20 if rng.random() < 0.4 else rng.random() * 0.6
    return pb.LabelTerm(class_name=str(rng.choice(COCO[:4])), min_score=score, min_count=int(rng.integers(0, 3)))


def _condition(rng: np.random.Generator) -> pb.Condition:
    if rng.random() < 0.5:
        name, known = ("license", LICENSES) if rng.random() < 0.5 else ("format", FORMATS)
        operator = rng.choice([pb.OPERATOR_EQ, pb.OPERATOR_NE])
        return pb.Condition(field=name, operator=operator, values=[pb.Value(text=str(rng.choice(known)))])
    operator = rng.choice([pb.OPERATOR_EQ, pb.OPERATOR_GT, pb.OPERATOR_GTE, pb.OPERATOR_LT, pb.OPERATOR_LTE])
    number = float(rng.integers(1, 20)) * 100 + float(rng.choice([0, 0.5]))
    return pb.Condition(field="width", operator=operator, values=[pb.Value(number=number)])
