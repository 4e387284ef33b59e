"""Generated images over HTTP: read from the file, given in the request, shown, asked for in a filter."""

from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from support.photos import encoded, noise_jpeg
from unit.gateway.harness import Gateway

from kindred.search.v1 import search_pb2

PARAMETERS = (
    "a castle\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 18446744073709551615, Model: sdxl"
)
EMBEDDED = {
    "model": "sdxl",
    "prompt": "a castle",
    "negative_prompt": "fog",
    "seed": 2**64 - 1,
    "sampler": "Euler a",
    "steps": 20,
    "guidance": 7.0,
    "tool": "automatic1111",
}


def generated_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", PARAMETERS)
    return encoded(Image.new("RGB", (40, 20), "teal"), "PNG", pnginfo=info)


async def shown(gateway: Gateway, image_id: str) -> dict[str, Any]:
    answer = await gateway.http.get(f"/v1/images/{image_id}")
    body: dict[str, Any] = answer.json()
    return body


async def test_a_generators_mark_makes_an_image_generated_and_its_licence_unknown(gateway: Gateway) -> None:
    image_id = await gateway.add(generated_png())
    body = await shown(gateway, image_id)
    assert (body["origin"], body["generation"], body["rights"]["license"]) == ("generated", EMBEDDED, "unknown")
    hit = (await gateway.http.post("/v1/search", json={"query": [{"text": "x"}]})).json()["results"][0]
    assert hit["generation"] == EMBEDDED


async def test_the_users_word_counts_for_more(gateway: Gateway) -> None:
    body = await shown(gateway, await gateway.add(generated_png(), origin="photo"))
    assert (body["origin"], body["generation"]) == ("photo", None)
    given = await shown(gateway, await gateway.add(generated_png(), model="mine", seed="5", caption="a  keep\n"))
    assert given["generation"] == EMBEDDED | {"model": "mine", "seed": 5}
    assert given["caption"] == "a keep"


async def test_what_is_given_makes_an_image_generated(gateway: Gateway) -> None:
    data = noise_jpeg(1)
    body = await shown(gateway, await gateway.add(data, prompt="x" * 3_000, steps="30", guidance="6.5"))
    assert body["origin"] == "generated"
    assert (body["generation"]["prompt"], body["generation"]["steps"]) == ("x" * 3_000, 30)
    assert (body["generation"]["guidance"], body["generation"]["model"]) == (6.5, None)
    plain = await shown(gateway, await gateway.add(noise_jpeg(2)))
    assert (plain["origin"], plain["generation"]) == ("photo", None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"seed": "-1"}, "/seed"),
        ({"seed": str(2**64)}, "/seed"),
        ({"steps": "many"}, "/steps"),
        ({"guidance": "nan"}, "/guidance"),
        ({"prompt": "x" * 10_001}, "/prompt"),
        ({"model": "x" * 201}, "/model"),
        ({"origin": "photo", "model": "sdxl"}, "/origin"),
    ],
)
async def test_what_none_can_have_is_refused(gateway: Gateway, fields: dict[str, str], pointer: str) -> None:
    answer = await gateway.http.post("/v1/images", files={"file": noise_jpeg(1)}, data=fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert gateway.blobs.objects == {}


async def test_models_and_prompts_are_asked_for(gateway: Gateway) -> None:
    body = {"query": [], "filter": {"model": {"in": ["a", "b"]}, "prompt": "red fox", "origin": "generated"}}
    assert (await gateway.http.post("/v1/search", json=body)).status_code == 200
    by_body = _conditions(gateway)
    parameters = {"model": ["a", "b"], "prompt": "red fox", "origin": "generated"}
    assert (await gateway.http.get("/v1/search", params=parameters)).status_code == 200
    assert _conditions(gateway) == by_body
    assert by_body == {
        ("model", search_pb2.OPERATOR_IN, ("a", "b")),
        ("prompt", search_pb2.OPERATOR_CONTAINS, ("red fox",)),
        ("origin", search_pb2.OPERATOR_EQ, ("generated",)),
    }
    for wrong in ({"model": {"gt": "a"}}, {"model": ""}, {"prompt": {"eq": "a"}}, {"prompt": "x" * 1001}, {"model": 7}):
        answer = await gateway.http.post("/v1/search", json={"filter": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "filter_invalid")


def _conditions(gateway: Gateway) -> set[tuple[str, int, tuple[str, ...]]]:
    searches = [request for request in gateway.search.requests if isinstance(request, search_pb2.SearchRequest)]
    said = searches[-1].filter.conditions
    return {(item.field, item.operator, tuple(value.text for value in item.values)) for item in said}
