"""What a filter means on a record and what it lets through the index agree."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from kindred_search import access, generating, labels
from kindred_search.catalogue.projecting import ClaimAccess
from kindred_search.domain import Claim, Detection, Generation, ImageRecord, Rights, State, Visibility
from kindred_search.filters import (
    Condition,
    ModelCondition,
    NumberCondition,
    OrderCondition,
    PromptCondition,
    SearchFilter,
    TextCondition,
    matches,
    to_index,
)
from kindred_search.labels import LabelTerm
from kindred_search.vectors.evaluate import passes
from kindred_search.vectors.port import Row


def record(width: int, origin: str, license_id: str, *scores: float) -> ImageRecord:
    found = tuple(Detection("s", "m", "1", 1, "c", score, (0, 0, 1, 1), "single", 1) for score in scores)
    claim = Claim(Rights(license=license_id), Visibility.PUBLIC)
    return ImageRecord("0" * 64, width, 9, "jpeg", 1, origin, "", 5, State.INDEXED, None, claim, True, "k", "", found)


def row(image: ImageRecord) -> Row:
    claims = [ClaimAccess("ann", Visibility.PUBLIC, image.claim.rights.license)]
    tokens = (access.tokens(claims), labels.tokens(image.labels))
    sizes = (image.width, image.height, image.ingested_at_ms)
    return Row(image.image_id, np.ones(1, dtype=np.float32), 1, *tokens, image.origin, image.format, *sizes)


IMAGES = [
    record(width, origin, license_id, *scores)
    for width, origin, license_id, scores in itertools.product(
        (100, 101, 200), ("photo", "generated"), ("by", "cc0"), ((), (0.5,), (0.5, 0.75))
    )
]
CONDITIONS: list[Condition] = [
    *[
        OrderCondition("width", ordering, bound)
        for ordering in ("gt", "gte", "lt", "lte")
        for bound in (99.5, 100, 101.0, 101.5)
    ],
    *[
        NumberCondition("width", values, negated)
        for values in ((100.0,), (100.5,), (101.0, 200.0))
        for negated in (False, True)
    ],
    *[TextCondition("origin", ("photo",), negated) for negated in (False, True)],
    *[TextCondition("license", ("by", "pdm"), negated) for negated in (False, True)],
    *[TextCondition("format", ("png",), negated) for negated in (False, True)],
]
TERMS = [LabelTerm("s", 1, "c", 0.5, 1), LabelTerm("s", 1, "c", 0.75, 1), LabelTerm("s", 1, "c", 0.5, 2)]
FILTERS = [
    *[SearchFilter(conditions=(condition,)) for condition in CONDITIONS],
    *[SearchFilter(**{kind: (term,)}) for kind in ("labels_all", "labels_any", "labels_none") for term in TERMS],
    SearchFilter(
        any_of=(SearchFilter(labels_none=(TERMS[0],)), SearchFilter(conditions=(CONDITIONS[0], CONDITIONS[-5])))
    ),
    SearchFilter(any_of=(SearchFilter(),)),
    SearchFilter(),
]


@pytest.mark.parametrize("wanted", FILTERS, ids=range(len(FILTERS)))
def test_the_index_lets_through_what_matches(wanted: SearchFilter) -> None:
    assert wanted.exact
    for image in IMAGES:
        assert passes(row(image), to_index(wanted, "ann")) is matches(wanted, image)


def test_nothing_passes_that_the_principal_does_not_see() -> None:
    private = Row("0" * 64, np.ones(1, dtype=np.float32), 1, ("o:ann",), (), "photo", "jpeg", 1, 1, 1)
    for wanted in FILTERS:
        assert not passes(private, to_index(wanted, "bob"))


def test_a_threshold_inside_a_bucket_is_decided_by_the_catalogue() -> None:
    wanted = SearchFilter(any_of=(SearchFilter(labels_all=(LabelTerm("s", 1, "c", 0.53, 1),)),))
    assert not wanted.exact
    below = record(1, "photo", "by", 0.52)
    assert passes(row(below), to_index(wanted, "ann"))
    assert not matches(wanted, below)


def generated(model: str, prompt: str) -> ImageRecord:
    claim = Claim(Rights(), Visibility.PUBLIC, generation=Generation(model=model, prompt=prompt))
    return ImageRecord("0" * 64, 9, 9, "png", 1, "generated", "", 5, State.INDEXED, None, claim, True, "k", "")


GENERATED = [
    generated("SDXL Base", "A red FOX, in snow_drift"),
    generated("v1-5", "fox"),
    generated("", "Straße \u0130stanbul"),
    generated("v1-5", " ".join(f"word{n}" for n in range(300))),
    record(100, "photo", "by"),
]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ModelCondition(("sdxl base",)), [0]),
        (ModelCondition(("sdxl base", "v1-5")), [0, 1, 3]),
        (ModelCondition(("v1-5",), negated=True), [0, 2, 4]),
        (PromptCondition(("fox",)), [0, 1]),
        (PromptCondition(("fox", "red")), [0]),
        (PromptCondition(("snow",)), []),
        (PromptCondition(("snow_drift",)), [0]),
        (PromptCondition(("strasse",)), [2]),
        (PromptCondition(("word299",)), [3]),
    ],
)
def test_models_and_prompts(condition: Condition, expected: list[int]) -> None:
    """The index may let through more, never less: the catalogue decides."""
    wanted = SearchFilter(conditions=(condition,))
    assert not wanted.exact
    assert [n for n, image in enumerate(GENERATED) if matches(wanted, image)] == expected
    for n in expected:
        tokens = generating.tokens([image.claim.generation for image in [GENERATED[n]] if image.claim.generation])
        in_index = replace(row(GENERATED[n]), generation=tokens)
        assert passes(in_index, to_index(wanted, "ann"))


def test_rare_words_narrow_the_search() -> None:
    tokens = generating.tokens([Generation(model="m", prompt="a fox")])
    other = replace(row(GENERATED[1]), generation=tokens)
    for condition in (ModelCondition(("v1-5",)), PromptCondition(("heron",))):
        assert not passes(other, to_index(SearchFilter(conditions=(condition,)), "ann"))
