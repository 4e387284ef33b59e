"""Generated images: what each reader is shown of how they were made, and what it finds by that."""

import pytest
from support.search_service import SearchService, image_id, new_image

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import InvalidFilter

FOX = pb.Generation(
    tool="comfyui",
    model="SDXL Base",
    prompt="A red fox, in SNOW",
    sampler="euler",
    seed=2**64 - 1,
    steps=20,
    guidance=7.5,
)
BOAT = pb.Generation(model="v1-5", prompt="a red boat; 100%_fun \\ '\"", negative_prompt="fog")


def condition(field: str, operator: "pb.Operator.ValueType", *texts: str) -> pb.Filter:
    values = [pb.Value(text=text) for text in texts]
    return pb.Filter(conditions=[pb.Condition(field=field, operator=operator, values=values)])


async def found(service: SearchService, wanted: pb.Filter, owner: str = "local") -> set[str]:
    """By a query, and by browsing, which other code answers."""
    by_query = set(await service.ids("fox", filter=wanted, owner=owner))
    browsed = set(await service.ids("fox", filter=wanted, owner=owner, terms=[], space=""))
    assert by_query == browsed
    return by_query


async def add(service: SearchService, name: str, said: pb.Generation | None, **changes: object) -> str:
    origin = "generated" if said is not None else "photo"
    return await service.add(name, origin=origin, generation=said, **changes)


async def test_a_generation_is_shown_as_it_was_said(service: SearchService) -> None:
    await add(service, "fox", FOX, license="unknown")
    record = await service.record("fox")
    assert record is not None
    assert (record.generation, record.origin, record.rights.license) == (FOX, "generated", "unknown")
    await add(service, "cat", None)
    record = await service.record("cat")
    assert record is not None
    assert not record.HasField("generation")


async def test_models_and_prompts_filter(service: SearchService) -> None:
    fox, boat, cat = await add(service, "fox", FOX), await add(service, "boat", BOAT), await add(service, "cat", None)
    eq, ne, among, contains = pb.OPERATOR_EQ, pb.OPERATOR_NE, pb.OPERATOR_IN, pb.OPERATOR_CONTAINS
    assert await found(service, condition("model", eq, "sdxl base")) == {fox}
    assert await found(service, condition("model", among, "SDXL BASE", "v1-5")) == {fox, boat}
    assert await found(service, condition("model", ne, "v1-5")) == {fox, cat}
    assert await found(service, condition("prompt", contains, "RED")) == {fox, boat}
    assert await found(service, condition("prompt", contains, "snow fox")) == {fox}
    assert await found(service, condition("prompt", contains, "re")) == set()
    assert await found(service, condition("prompt", contains, "fog")) == set()
    assert await found(service, condition("origin", eq, "generated")) == {fox, boat}
    either = pb.Filter(any_of=[condition("prompt", contains, "boat"), condition("model", eq, "SDXL Base")])
    assert await found(service, either) == {fox, boat}


@pytest.mark.parametrize(
    "text", ["%", "_", "' OR 1=1 --", "') OR true --", "\\", '"', "100%", "1__", "\x00", "model:v1-5", "word*"]
)
async def test_texts_of_a_filter_are_data(service: SearchService, text: str) -> None:
    await add(service, "fox", FOX)
    boat = await add(service, "boat", BOAT)
    assert await found(service, condition("model", pb.OPERATOR_EQ, text)) == set()
    try:
        words = await found(service, condition("prompt", pb.OPERATOR_CONTAINS, text))
    except InvalidFilter:
        return  # no word in it
    assert words <= ({boat} if text == "100%" else set())


async def test_nobody_is_shown_or_finds_what_another_says_in_private(service: SearchService) -> None:
    secret = pb.Generation(model="secret-model", prompt="hidden words")
    fox = await add(service, "fox", secret, visibility=pb.VISIBILITY_PRIVATE)
    await service.accept(new_image("fox", generation=FOX, origin="generated"), owner="bob")
    await service.settle()
    by_secret, by_word = (
        condition("model", pb.OPERATOR_EQ, "secret-model"),
        condition("prompt", pb.OPERATOR_CONTAINS, "hidden"),
    )
    assert await found(service, by_secret) == await found(service, by_word) == {fox}
    for other in ("bob", "carol"):
        assert await found(service, by_secret, other) == await found(service, by_word, other) == set()
        assert await found(service, condition("model", pb.OPERATOR_EQ, "SDXL base"), other) == {fox}
        record = await service.record("fox", other)
        assert record is not None
        assert record.generation == FOX


async def test_what_is_said_anew_counts_and_goes_with_the_claim(service: SearchService) -> None:
    fox = await add(service, "fox", FOX)
    await service.accept(new_image("fox", origin="generated", generation=BOAT))
    await service.settle()
    assert await found(service, condition("model", pb.OPERATOR_EQ, "v1-5")) == {fox}
    assert await found(service, condition("model", pb.OPERATOR_EQ, "sdxl base")) == set()
    await service.accept(new_image("fox", origin="photo"))
    await service.settle()
    record = await service.record("fox")
    assert record is not None
    assert (record.origin, record.HasField("generation")) == ("photo", False)
    await service.accept(new_image("fox", origin="generated", generation=FOX))
    await service.delete("fox")
    await service.settle()
    await service.accept(new_image("fox"))
    record = await service.record("fox")
    assert record is not None
    assert not record.HasField("generation")


async def test_an_index_of_an_earlier_version_is_built_anew(service: SearchService) -> None:
    fox = await add(service, "fox", FOX)
    store = service.vectors
    [name] = await store.names()
    table = await store._table(name)  # type: ignore[attr-defined]
    await table.drop_columns(["generation"])
    store._tables.clear()  # type: ignore[attr-defined]
    assert await found(service, condition("model", pb.OPERATOR_EQ, "SDXL Base")) == {fox}
    assert await service.vectors.names() != [name]


async def test_wrong_conditions_are_refused(service: SearchService) -> None:
    await add(service, "fox", FOX)
    for wrong in (
        condition("model", pb.OPERATOR_GT, "a"),
        condition("model", pb.OPERATOR_EQ, ""),
        condition("prompt", pb.OPERATOR_EQ, "a"),
        condition("prompt", pb.OPERATOR_CONTAINS, "..."),
        condition("prompt", pb.OPERATOR_CONTAINS, "a", "b"),
        condition("prompt", pb.OPERATOR_CONTAINS, " ".join(map(str, range(100)))),
        condition("width", pb.OPERATOR_CONTAINS, "a"),
    ):
        with pytest.raises(InvalidFilter):
            await service.search("fox", filter=wrong)
    assert (await service.record("fox")) is not None
    assert image_id("fox")
