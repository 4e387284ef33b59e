"""Queries: mixes, filters, thresholds, spaces."""

import numpy as np
import pytest
from support.search_service import SPACE, SearchService, embedding, image_id, new_image, unit, vector

from kindred.detector.v1 import detector_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import ImageNotFound, InvalidArgument, InvalidFilter, SpaceMismatch, UnknownLabel
from kindred_search.catalogue import label_requests


def label(name: str, min_score: float = 0, min_count: int = 0) -> pb.LabelTerm:
    return pb.LabelTerm(class_name=name, min_score=min_score, min_count=min_count)


def term(name: str, weight: float = 1.0) -> pb.Term:
    return pb.Term(embedding=embedding(vector(name)), weight=weight)


def condition(field: str, operator: pb.Operator.ValueType, *values: str | float) -> pb.Condition:
    typed = [pb.Value(text=v) if isinstance(v, str) else pb.Value(number=v) for v in values]
    return pb.Condition(field=field, operator=operator, values=typed)


async def test_an_empty_index_answers_nothing(service: SearchService) -> None:
    page = await service.search("cat")
    assert (list(page.hits), page.total, page.next_cursor, page.space) == ([], 0, "", SPACE)


async def test_terms_mix_by_weight_and_may_push_away(service: SearchService) -> None:
    a, b = vector("a"), vector("b")
    names = {"a": a, "b": b, "both": unit(a + b), "a, not b": unit(a - b)}
    for name, values in names.items():
        await service.add(name, values=values)

    async def best(*terms: pb.Term) -> pb.Hit:
        return (await service.search("a", terms=terms)).hits[0]

    assert (await best(term("a"), term("b"))).image_id == image_id("both")
    assert (await best(term("a"), term("b", -1.0))).image_id == image_id("a, not b")
    assert (await best(term("a", 1.0), term("b", 0.01))).image_id == image_id("a")
    by_id = await best(pb.Term(image_id=image_id("a"), weight=1), pb.Term(image_id=image_id("b"), weight=1))
    assert by_id.image_id == image_id("both")
    assert by_id.score == pytest.approx(1.0, abs=1e-3)


async def test_bad_terms_are_named(service: SearchService) -> None:
    await service.add("a")
    with pytest.raises(InvalidArgument, match="cancel each other out"):
        await service.search("a", terms=[term("a"), term("a", -1.0)])
    with pytest.raises(InvalidArgument, match="finite"):
        await service.search(np.full(16, np.nan, dtype=np.float32))
    with pytest.raises(InvalidArgument, match="not zero"):
        await service.search(np.zeros(16, dtype=np.float32))
    with pytest.raises(InvalidArgument, match="weight"):
        await service.search("a", terms=[term("a", float("inf"))])
    with pytest.raises(InvalidArgument, match="embedding or an image id"):
        await service.search("a", terms=[pb.Term(weight=1)])
    with pytest.raises(ImageNotFound):
        await service.search("a", terms=[pb.Term(image_id=image_id("nobody"), weight=1)])
    with pytest.raises(InvalidArgument, match="hex"):
        await service.search("a", terms=[pb.Term(image_id="' OR 1=1 --", weight=1)])
    with pytest.raises(InvalidArgument, match="at most 32"):
        await service.search("a", terms=[term("a")] * 33)


async def test_spaces_are_never_compared(service: SearchService) -> None:
    await service.add("a")
    with pytest.raises(SpaceMismatch, match=r"clip/1.*test/1"):
        await service.search("a", space="clip/1")
    with pytest.raises(SpaceMismatch, match="dimensions"):
        await service.search(np.ones(8, dtype=np.float32))
    await service.accept(new_image("b"))
    await service.derive("b", space="other/1")
    await service.settle()
    assert await service.ids("b") == [image_id("a")]
    with pytest.raises(SpaceMismatch):  # a vector always belongs to a space
        await service.search("a", space="")


async def test_a_query_of_ids_alone_names_no_space(service: SearchService) -> None:
    await service.add("a")
    by_id = pb.Term(image_id=image_id("a"), weight=1)
    assert await service.ids("a", terms=[by_id], space="") == [image_id("a")]


@pytest.mark.parametrize("limit", [-1, 0, 101])
async def test_the_limit_is_bounded(service: SearchService, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        await service.search("a", limit=limit)


async def test_a_lowest_score_cuts_and_excluded_images_are_left_out(service: SearchService) -> None:
    a, b = vector("a"), vector("b")
    for name, values in {"a": a, "near": unit(a + 0.1 * b), "far": -a}.items():
        await service.add(name, values=values)
    assert await service.ids("a", min_score=0.5) == [image_id("a"), image_id("near")]
    assert (await service.search("a", min_score=0.5)).total == 2
    assert await service.ids("a", min_score=-1.0, exclude_ids=[image_id("a")]) == [image_id("near"), image_id("far")]
    assert await service.ids("a", limit=1, exclude_ids=[image_id("a")]) == [image_id("near")]
    with pytest.raises(InvalidArgument, match="min_score"):
        await service.search("a", min_score=1.5)


async def test_label_filters(service: SearchService) -> None:
    await service.add("one dog", boxes=[("dog", 0.62)])
    await service.add("two dogs", boxes=[("dog", 0.9), ("dog", 0.31)])
    await service.add("dog and car", boxes=[("dog", 0.5), ("car", 0.8)])
    await service.add("nothing")

    async def found(**fields: list[pb.LabelTerm]) -> set[str]:
        ids = set(await service.ids("one dog", filter=pb.Filter(**fields)))
        return {name for name in ("one dog", "two dogs", "dog and car", "nothing") if image_id(name) in ids}

    assert await found(labels_all=[label("dog")]) == {"one dog", "two dogs", "dog and car"}
    assert await found(labels_all=[label("Dog", 0.6)]) == {"one dog", "two dogs"}
    assert await found(labels_all=[label("dog", 0.62)]) == {"one dog", "two dogs"}
    assert await found(labels_all=[label("dog", 0.63)]) == {"two dogs"}  # same bucket as .62: the catalogue decides
    assert await found(labels_all=[label("dog", 0.3, 2)]) == {"two dogs"}
    assert await found(labels_all=[label("dog", 0.32, 2)]) == set()
    assert await found(labels_all=[label("dog"), label("car", 0.8)]) == {"dog and car"}
    assert await found(labels_any=[label("car"), label("dog", 0.9)]) == {"dog and car", "two dogs"}
    assert await found(labels_none=[label("dog", 0.6)]) == {"dog and car", "nothing"}
    assert await found(labels_none=[label("dog", 0.63)]) == {"one dog", "dog and car", "nothing"}
    assert await found(labels_none=[label("dog", 0.61)]) == {"dog and car", "nothing"}
    assert await found(labels_none=[label("traffic_light")]) == {"one dog", "two dogs", "dog and car", "nothing"}


async def test_pages_are_full_although_the_catalogue_turns_candidates_down(service: SearchService) -> None:
    centre = vector("a")
    rng = np.random.default_rng(1)
    names = [f"image {n}" for n in range(120)]
    await service.accept(*[new_image(name) for name in names])
    for n, name in enumerate(names):  # the nearest 60 are just below the threshold, inside its bucket
        values = unit(centre + (0.01 + n * 0.01) * rng.standard_normal(16))
        await service.derive(name, values=values, boxes=[("dog", 0.61 if n < 60 else 0.64)])
    await service.settle()
    wanted = pb.Filter(labels_all=[label("dog", 0.63)])
    page = await service.search("a", filter=wanted, limit=20)
    assert len(page.hits) == 20
    assert all(hit.image.labels[0].detection.score >= 0.63 for hit in page.hits)
    seen = [hit.image_id for hit in page.hits]
    while page.next_cursor:
        page = await service.search("a", limit=20, cursor=page.next_cursor)
        seen += [hit.image_id for hit in page.hits]
    assert sorted(seen) == sorted(image_id(name) for name in names[60:])
    assert (page.total, page.total_is_lower_bound) == (60, False)


async def test_an_unknown_class_names_the_closest_ones(service: SearchService) -> None:
    with pytest.raises(UnknownLabel, match=r"'motorbike'.*motorcycle") as caught:
        await service.search("a", filter=pb.Filter(labels_all=[label("dog"), label("motorbike")]))
    assert caught.value.pointer == "/filter/labels/all/1"
    with pytest.raises(UnknownLabel, match="openimages-600"):
        await service.search(
            "a", filter=pb.Filter(labels_any=[pb.LabelTerm(label_set="openimages-600", class_name="dog")])
        )


async def test_two_label_sets_side_by_side(service: SearchService) -> None:
    await service.add("both", boxes=[("dog", 0.9)])
    own = pb.Derived(image_id=image_id("both"), seq=1)
    forklift = detector_pb2.Detection(class_id=0, class_name="Fork lift", score=0.8, source="single", agreement=1)
    forklift.box.CopyFrom(detector_pb2.Box(x_max=0.5, y_max=0.5))
    own.labels.add(label_set="warehouse", model_name="own", model_version="3", detections=[forklift])
    assert not (await service.stub.PutDerived(pb.PutDerivedRequest(images=[own]))).stale[0]
    await service.settle()
    both = pb.Filter(labels_all=[label("dog"), pb.LabelTerm(label_set="warehouse", class_name="fork lift")])
    [hit] = (await service.search("both", filter=both)).hits
    assert {(found.label_set, found.model_name, found.detection.class_name) for found in hit.image.labels} == {
        ("coco-80", "det", "dog"),
        ("warehouse", "own", "Fork lift"),
    }
    # no set named: any that has the class
    assert len((await service.search("both", filter=pb.Filter(labels_all=[label("FORK_LIFT")]))).hits) == 1
    with pytest.raises(UnknownLabel, match=r"no label set has a class 'forklifts'.*Fork lift \(warehouse\)"):
        await service.search("both", filter=pb.Filter(labels_all=[label("forklifts")]))


async def test_missing_classes_are_asked_for_and_counted(service: SearchService) -> None:
    async def ask(owner: str, name: str) -> pb.AddLabelRequestResponse:
        return await service.stub.AddLabelRequest(
            pb.AddLabelRequestRequest(principal=pb.Principal(owner=owner), class_name=name)
        )

    first = await ask("ada", "  Violin\u200b\x07 ")
    assert (first.class_name, first.requests, list(first.label_sets)) == ("Violin", 1, [])
    await ask("ada", "violin")
    assert (await ask("bob", "VIOLIN")).requests == 3
    assert (await ask("bob", "motorbike")).closest[0] == "motorcycle"
    known = await ask("ada", "Dog")
    assert (known.requests, list(known.label_sets)) == (0, ["coco-80"])
    entries = (await service.stub.ListLabelRequests(pb.ListLabelRequestsRequest())).entries
    assert [(entry.class_name, entry.requests, entry.owners) for entry in entries] == [
        ("violin", 3, 2),
        ("motorbike", 1, 1),
    ]
    assert entries[0].last_requested_at_ms > 1_600_000_000_000


@pytest.mark.parametrize("name", ["", "   ", "\x00\x07", "x" * 101, "!?", "\u202e\u200b"])
async def test_a_request_has_to_name_a_class(service: SearchService, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await service.stub.AddLabelRequest(
            pb.AddLabelRequestRequest(principal=pb.Principal(owner="ada"), class_name=name)
        )


async def test_an_account_cannot_fill_the_operators_list(
    service: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_requests, "MAX_OF_OWNER", 2)
    for name in ("violin", "cello", "violin"):
        await service.stub.AddLabelRequest(
            pb.AddLabelRequestRequest(principal=pb.Principal(owner="ada"), class_name=name)
        )
    with pytest.raises(InvalidArgument, match="2 classes"):
        await service.stub.AddLabelRequest(
            pb.AddLabelRequestRequest(principal=pb.Principal(owner="ada"), class_name="viola")
        )


async def test_conditions_on_fields(service: SearchService) -> None:
    await service.add("small", width=100, format="png")
    await service.add("large", width=2000, origin="generated")

    async def found(*conditions: pb.Condition) -> list[str]:
        ids = await service.ids("small", filter=pb.Filter(conditions=conditions))
        return [name for name in ("small", "large") if image_id(name) in ids]

    assert await found(condition("width", pb.OPERATOR_GTE, 100)) == ["small", "large"]
    assert await found(condition("width", pb.OPERATOR_GT, 100)) == ["large"]
    assert await found(condition("width", pb.OPERATOR_LT, 100.5)) == ["small"]
    assert await found(condition("width", pb.OPERATOR_LTE, 99.9)) == []
    assert await found(condition("width", pb.OPERATOR_EQ, 2000)) == ["large"]
    assert await found(condition("width", pb.OPERATOR_EQ, 2000.5)) == []
    assert await found(condition("width", pb.OPERATOR_NE, 2000)) == ["small"]
    assert await found(condition("width", pb.OPERATOR_IN, 100, 2000)) == ["small", "large"]
    assert await found(condition("width", pb.OPERATOR_NOT_IN, 100, 7)) == ["large"]
    assert await found(condition("format", pb.OPERATOR_EQ, "png")) == ["small"]
    assert await found(condition("origin", pb.OPERATOR_NE, "photo")) == ["large"]
    assert await found(condition("height", pb.OPERATOR_GTE, 1), condition("ingested_at_ms", pb.OPERATOR_LT, 9e15)) == [
        "small",
        "large",
    ]
    alternatives = [
        pb.Filter(conditions=[condition("width", pb.OPERATOR_GT, 1000)]),
        pb.Filter(conditions=[condition("format", pb.OPERATOR_EQ, "gif")]),
    ]
    assert await service.ids("small", filter=pb.Filter(any_of=alternatives)) == [image_id("large")]


BAD_CONDITIONS = [
    condition("width; DROP TABLE", pb.OPERATOR_EQ, 1),
    condition("vector", pb.OPERATOR_EQ, 1),
    condition("license", pb.OPERATOR_EQ, "') OR true --"),
    condition("license", pb.OPERATOR_GT, "by"),
    condition("license", pb.OPERATOR_EQ, 3),
    condition("format", pb.OPERATOR_IN),
    condition("format", pb.OPERATOR_EQ, "png", "gif"),
    condition("format", pb.OPERATOR_EQ, "p'ng"),
    condition("width", pb.OPERATOR_EQ, "wide"),
    condition("width", pb.OPERATOR_EQ, float("nan")),
    condition("width", pb.OPERATOR_GTE, 1e300),
    condition("width", pb.OPERATOR_UNSPECIFIED, 1),
    condition("origin", pb.OPERATOR_UNSPECIFIED, "photo"),
    condition("width", pb.OPERATOR_IN, *[1.0] * 201),
]


@pytest.mark.parametrize("bad", BAD_CONDITIONS, ids=range(len(BAD_CONDITIONS)))
async def test_bad_conditions_are_refused(service: SearchService, bad: pb.Condition) -> None:
    with pytest.raises(InvalidFilter):
        await service.search("a", filter=pb.Filter(conditions=[bad]))


async def test_filters_are_bounded(service: SearchService) -> None:
    deep = pb.Filter(labels_all=[label("dog")])
    for _ in range(6):
        deep = pb.Filter(any_of=[deep])
    with pytest.raises(InvalidFilter, match="nest"):
        await service.search("a", filter=deep)
    with pytest.raises(InvalidFilter, match="at most 200"):
        await service.search("a", filter=pb.Filter(labels_any=[label("dog")] * 201))
    for wrong in (label("dog", 1.5), label("dog", -0.1), label("dog", 0.5, 6), label("dog", float("nan"))):
        with pytest.raises(InvalidFilter):
            await service.search("a", filter=pb.Filter(labels_none=[wrong]))
