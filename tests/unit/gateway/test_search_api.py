"""Search over HTTP: what reaches the services and what is answered."""

import gzip

import orjson
import pytest
from support.photos import noise_jpeg
from unit.gateway.harness import Gateway

from kindred.search.v1 import search_pb2
from kindred_kit.errors import Unavailable

HIT_KEYS = {
    "id",
    "score",
    "aspects",
    "width",
    "height",
    "urls",
    "labels",
    "rights",
    "generation",
    "caption",
    "file_name",
    "duplicates",
}


async def test_text_search_answers_the_documented_shape(gateway: Gateway) -> None:
    image_id = await gateway.add(noise_jpeg(1, 200, 100), license="by", creator="Ada")
    answer = await gateway.http.get("/v1/search", params={"q": "a dog"})
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"id", "results", "next_cursor", "total", "facets", "index_version", "model"}
    assert body["facets"] is None
    assert body["id"] == answer.headers["x-request-id"]
    assert body["total"] == {"value": 1, "relation": "eq"}
    assert (body["model"], body["next_cursor"]) == ("fake-1", None)
    (hit,) = body["results"]
    assert set(hit) == HIT_KEYS
    assert hit["id"] == image_id
    assert hit["urls"]["thumb"] == f"/v1/images/{image_id}/thumb"
    assert hit["labels"] == [
        {"class": "dog", "score": 0.875, "bbox": [0, 0, 100, 75], "source": "single", "agreement": 1}
    ]
    assert (hit["rights"]["license"], hit["rights"]["creator"], hit["rights"]["license_url"]) == ("by", "Ada", None)


async def test_get_parameters_become_a_filter(gateway: Gateway) -> None:
    parameters = [
        ("q", "x"), ("label", "dog"), ("label", "cat"), ("no_label", "person"), ("license", "cc0,by"),
        ("license_type", "modification"), ("min_score", "0.25"), ("limit", "7"),
    ]  # fmt: skip
    answer = await gateway.http.get("/v1/search", params=parameters)
    assert answer.status_code == 200
    request = gateway.search.requests[-1]
    assert [term.class_name for term in request.filter.labels_all] == ["dog", "cat"]
    assert [term.class_name for term in request.filter.labels_none] == ["person"]
    given, permitted = request.filter.conditions
    assert (given.field, given.operator, [v.text for v in given.values]) == (
        "license", search_pb2.OPERATOR_IN, ["cc0", "by"],
    )  # fmt: skip
    assert "by-nd" not in [v.text for v in permitted.values]
    assert (request.limit, request.min_score) == (7, pytest.approx(0.25))
    assert request.principal.owner == "local"


async def test_a_mix_of_terms_reaches_search_with_weights(gateway: Gateway) -> None:
    image_id = await gateway.add()
    upload = await gateway.http.post("/v1/uploads", files={"file": noise_jpeg(2)})
    upload_id = upload.json()["upload_id"]
    region = {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4}
    body = {
        "query": [
            {"text": "dog on snow", "weight": 1},
            {"image_id": image_id, "weight": 0.7},
            {"text": "indoor", "weight": -0.4},
            {"upload_id": upload_id, "region": region},
            {"image_id": image_id, "region": region},
        ]
    }
    answer = await gateway.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    terms = gateway.search.requests[-1].terms
    assert [term.WhichOneof("of") for term in terms] == ["embedding", "image_id", "embedding", "embedding", "embedding"]
    assert [round(term.weight, 3) for term in terms] == [1, 0.7, -0.4, 1, 1]
    assert gateway.search.requests[-1].space == "fake-1"
    keys = {request.blob_key for request in gateway.embedder.requests if hasattr(request, "blob_key")}
    assert keys == {f"uploads/{upload_id}", f"images/{image_id[:2]}/{image_id}"}
    texts = [list(request.texts) for request in gateway.embedder.requests if hasattr(request, "texts")]
    assert texts == [["dog on snow", "indoor"]]  # one call for all texts


async def test_filter_grammar(gateway: Gateway) -> None:
    body = {
        "query": [{"text": "x"}],
        "filter": {
            "labels": {
                "all": [
                    "dog",
                    {"class": "cat", "min_score": 0.5, "min_precision": 0.75, "min_count": 2, "label_set": "coco-80"},
                ],
                "any": ["person"],
            },
            "license": {"not_in": ["by-nc"]},
            "license_type": ["commercial", "modification"],
            "origin": "photo",
            "format": {"ne": "gif"},
            "or": [{"width": {"gte": 1024, "lt": 4000}}, {"height": 10, "or": [{"license": "cc0"}]}],
        },
    }
    answer = await gateway.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    sent = gateway.search.requests[-1].filter
    assert [(t.class_name, t.min_count, t.min_precision) for t in sent.labels_all] == [("dog", 1, 0), ("cat", 2, 0.75)]
    fields = [(c.field, search_pb2.Operator.Name(c.operator).removeprefix("OPERATOR_")) for c in sent.conditions]
    assert fields == [
        ("license", "NOT_IN"), ("origin", "EQ"), ("format", "NE"), ("license", "IN"), ("license", "IN"),
    ]  # fmt: skip
    wide, other = sent.any_of
    assert [(c.operator, c.values[0].number) for c in wide.conditions] == [
        (search_pb2.OPERATOR_GTE, 1024), (search_pb2.OPERATOR_LT, 4000),
    ]  # fmt: skip
    assert other.any_of[0].conditions[0].values[0].text == "cc0"


async def test_image_sent_along(gateway: Gateway) -> None:
    await gateway.add()
    request = orjson.dumps({"limit": 5, "filter": {"labels": {"all": ["dog"]}}}).decode()
    answer = await gateway.http.post(
        "/v1/search", files={"file": noise_jpeg(3)}, data={"region": "0,0,0.5,0.5", "request": request}
    )
    assert answer.status_code == 200, answer.text
    sent = gateway.search.requests[-1]
    assert (len(sent.terms), sent.limit, sent.filter.labels_all[0].class_name) == (1, 5, "dog")
    assert gateway.embedder.requests[-1].region.w == pytest.approx(0.5)


async def test_next_page_embeds_nothing_and_is_bound_to_the_query(gateway: Gateway) -> None:
    for seed in range(3):
        await gateway.add(noise_jpeg(seed))
    body = {"query": [{"text": "x"}], "limit": 2}
    first = (await gateway.http.post("/v1/search", json=body)).json()
    calls = len(gateway.embedder.requests)
    second = (await gateway.http.post("/v1/search", json={**body, "cursor": first["next_cursor"]})).json()
    assert len(gateway.embedder.requests) == calls
    assert len(second["results"]) == 1
    assert not {hit["id"] for hit in first["results"]} & {hit["id"] for hit in second["results"]}
    other = await gateway.http.post("/v1/search", json={"query": [{"text": "y"}], "cursor": first["next_cursor"]})
    assert (other.status_code, other.json()["code"]) == (400, "cursor_invalid")


async def test_fields_choose_parts_of_a_hit(gateway: Gateway) -> None:
    await gateway.add()
    answer = await gateway.http.post("/v1/search", json={"query": [{"text": "x"}], "fields": ["labels", "rights"]})
    assert set(answer.json()["results"][0]) == {"id", "score", "labels", "rights"}


async def test_without_a_query_the_filter_is_browsed(gateway: Gateway) -> None:
    await gateway.add()
    for answer in (
        await gateway.http.post("/v1/search", json={"filter": {"labels": {"all": ["dog"]}}, "limit": 5}),
        await gateway.http.get("/v1/search", params={"label": "dog", "limit": 5}),
    ):
        assert answer.status_code == 200, answer.text
        sent = gateway.search.requests[-1]
        assert (len(sent.terms), sent.space, sent.filter.labels_all[0].class_name) == (0, "", "dog")
        assert [hit["score"] for hit in answer.json()["results"]] == [None]
    assert gateway.embedder.requests == []
    newest = await gateway.http.get("/v1/search")
    assert (newest.status_code, len(newest.json()["results"])) == (200, 1)


@pytest.mark.parametrize("method", ["get", "post"])
async def test_facets_copies_and_diversity(gateway: Gateway, method: str) -> None:
    await gateway.add()
    wishes = {"facets": True, "collapse_duplicates": True, "diversity": 0.25}
    if method == "get":
        parameters = {"q": "x", "facets": "true", "collapse_duplicates": "true", "diversity": "0.25"}
        answer = await gateway.http.get("/v1/search", params=parameters)
    else:
        answer = await gateway.http.post("/v1/search", json={"query": [{"text": "x"}], **wishes})
    body = answer.json()
    assert answer.status_code == 200, body
    count = {"class": "dog", "label_set": "coco-80", "images": 2, "boxes": 3}
    assert body["facets"] == {"labels": [count], "over": 1}
    assert body["results"][0]["duplicates"] == ["c" * 64]
    sent = gateway.search.requests[-1]
    assert {name: getattr(sent, name) for name in wishes} == wishes


@pytest.mark.parametrize("change", [{"facets": True}, {"collapse_duplicates": True}, {"diversity": 0.5}])
async def test_a_cursor_is_bound_to_what_was_wished_for(gateway: Gateway, change: dict[str, object]) -> None:
    for seed in range(3):
        await gateway.add(noise_jpeg(seed))
    body = {"query": [{"text": "x"}], "limit": 2}
    first = (await gateway.http.post("/v1/search", json=body)).json()
    other = await gateway.http.post("/v1/search", json={**body, **change, "cursor": first["next_cursor"]})
    assert (other.status_code, other.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x"])
async def test_an_encoded_body_is_refused_in_words(gateway: Gateway, encoding: str) -> None:
    body = gzip.compress(b'{"query": [{"text": "x"}]}')
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = await gateway.http.post("/v1/search", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert encoding in answer.json()["detail"]
    headers["Content-Encoding"] = "identity"
    plain = await gateway.http.post("/v1/search", content=b'{"query": [{"text": "x"}]}', headers=headers)
    assert plain.status_code == 200


async def test_similar_takes_the_parameters_of_search_but_no_text(gateway: Gateway) -> None:
    image_id = await gateway.add()
    answer = await gateway.http.get(f"/v1/images/{image_id}/similar", params={"facets": "true", "q": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/q")
    document = (await gateway.http.get("/openapi.json")).json()["paths"]
    of_search, of_similar = (
        {item["name"] for item in document[path]["get"]["parameters"]}
        for path in ("/v1/search", "/v1/images/{image_id}/similar")
    )
    assert of_search - {"q"} == of_similar - {"image_id"}


async def test_similar_leaves_the_image_itself_out(gateway: Gateway) -> None:
    first, second = await gateway.add(noise_jpeg(1)), await gateway.add(noise_jpeg(2))
    answer = await gateway.http.get(f"/v1/images/{first}/similar", params={"limit": 5, "label": "dog"})
    assert [hit["id"] for hit in answer.json()["results"]] == [second]
    assert gateway.search.requests[-1].terms[0].image_id == first


async def test_a_moving_space_is_tried_once_more(gateway: Gateway) -> None:
    gateway.embedder.space = "fake-2"
    answer = await gateway.http.get("/v1/search", params={"q": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert len(gateway.embedder.requests) == 2


async def test_a_part_that_is_down(gateway: Gateway) -> None:
    await gateway.servers["search"].aclose()
    answer = await gateway.http.get("/v1/search", params={"q": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    gateway.embedder.error = Unavailable("secret-host:9101 at file:///srv/photos/a.jpg")
    answer = await gateway.http.post("/v1/embed", json={"texts": ["x"]})
    assert answer.status_code == 503
    assert "secret" not in answer.text
    assert "srv" not in answer.text


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"min_score": 0.2}, "invalid_argument", "/min_score"),
        ({"query": [], "min_score": 0.2}, "invalid_argument", "/min_score"),
        ({"query": None}, "invalid_argument", "/query"),
        ({"query": [{}]}, "invalid_argument", "/query/0"),
        ({"query": [{"text": "a", "image_id": "0" * 64}]}, "invalid_argument", "/query/0"),
        ({"query": [{"text": "  "}]}, "invalid_argument", "/query/0"),
        ({"query": [{"text": "a", "url": "http://a"}]}, "invalid_argument", "/query/0/url"),
        ({"query": [{"text": "a", "region": {"x": 0, "y": 0, "w": 1, "h": 1}}]}, "invalid_argument", "/query/0"),
        ({"query": [{"text": "a", "weight": 0}]}, "invalid_argument", "/query"),
        ({"query": [{"text": "a", "weight": "1"}]}, "invalid_argument", "/query/0/weight"),
        ({"query": [{"text": "a", "weight": True}]}, "invalid_argument", "/query/0/weight"),
        ({"query": [{"text": "a", "weight": 1e300}]}, "invalid_argument", "/query/0/weight"),
        ({"query": [{"image_id": "xyz"}]}, "invalid_argument", "/query/0/image_id"),
        ({"query": [{"text": "a"}] * 17}, "invalid_argument", "/query"),
        ({"query": [{"text": "a"}], "limit": 0}, "invalid_argument", "/limit"),
        ({"query": [{"text": "a"}], "limit": 101}, "invalid_argument", "/limit"),
        ({"query": [{"text": "a"}], "limit": 1.5}, "invalid_argument", "/limit"),
        ({"query": [{"text": "a"}], "top_k": 3}, "invalid_argument", "/top_k"),
        ({"query": [{"text": "a"}], "a/b~c": 3}, "invalid_argument", "/a~1b~0c"),
        ({"query": [{"text": "a"}], "fields": ["blob_key"]}, "invalid_argument", "/fields/0"),
        ({"query": [{"text": "a"}], "min_score": 2}, "invalid_argument", "/min_score"),
        ({"query": [{"text": "a"}], "filter": {"licence": "by"}}, "filter_invalid", "/filter/licence"),
        ({"query": [{"text": "a"}], "filter": {"license": "gpl"}}, "filter_invalid", "/filter/license/eq"),
        ({"query": [{"text": "a"}], "filter": {"width": {}}}, "filter_invalid", "/filter/width"),
        ({"query": [{"text": "a"}], "filter": {"width": {"gte": "9"}}}, "filter_invalid", "/filter/width/gte"),
        ({"query": [{"text": "a"}], "filter": {"license": {"gt": "by"}}}, "filter_invalid", "/filter/license/gt"),
        ({"query": [{"text": "a"}], "filter": {"license": {"in": []}}}, "filter_invalid", "/filter/license/in"),
        (
            {"query": [{"text": "a"}], "filter": {"labels": {"all": [{"class": "dog", "min_count": 6}]}}},
            "filter_invalid",
            "/filter/labels/all/0/min_count",
        ),
        ({"query": [{"text": "a"}], "filter": {"labels": {"all": ["unicorn"]}}}, "label_unknown", None),
        ({"query": [{"text": "a"}], "filter": {"or": [{"or": [{"or": [{"or": [{}]}]}]}]}}, "filter_invalid", "/filter"),
        ({"query": [{"text": "a"}], "aspects": {"object": {"weight": 1}}}, "not_available", ""),
        ({"query": [{"text": "a"}], "collapse_duplicates": "yes"}, "invalid_argument", "/collapse_duplicates"),
        ({"query": [{"text": "a"}], "diversity": 1.2}, "invalid_argument", "/diversity"),
        ({"query": [{"text": "a"}], "diversity": -0.1}, "invalid_argument", "/diversity"),
        ({"query": [{"text": "a"}], "diversity": "0.2"}, "invalid_argument", "/diversity"),
        ({"query": [{"text": "a"}], "facets": ["labels"]}, "invalid_argument", "/facets"),
    ],
)
async def test_bad_bodies(gateway: Gateway, body: object, code: str, pointer: str | None) -> None:
    answer = await gateway.http.post("/v1/search", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("term", "status", "code", "pointer"),
    [
        ({"image_id": "0" * 64}, 404, "image_not_found", "/query/0/image_id"),
        ({"image_id": "0" * 64, "region": {"x": 0, "y": 0, "w": 1, "h": 1}}, 404, "image_not_found", "/query/0"),
        ({"upload_id": "up_0"}, 404, "upload_not_found", "/query/0"),
        ({"upload_id": "../../etc/passwd"}, 404, "upload_not_found", "/query/0"),
    ],
)
async def test_unknown_ids(gateway: Gateway, term: object, status: int, code: str, pointer: str) -> None:
    answer = await gateway.http.post("/v1/search", json={"query": [term]})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_region_outside_of_the_image(gateway: Gateway) -> None:
    image_id = await gateway.add()
    term = {"image_id": image_id, "region": {"x": 0.5, "y": 0, "w": 0.9, "h": 1}}
    answer = await gateway.http.post("/v1/search", json={"query": [term]})
    assert (answer.status_code, answer.json()["code"]) == (422, "region_invalid")
    assert answer.json()["errors"][0]["pointer"] == "/query/0"


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"min_score": "0.5"}, "/min_score"),
        ({"q": ""}, "/q"),
        ({"q": "   "}, "/q"),
        ({"q": "a" * 2001}, "/q"),
        ({"q": "a", "limit": "x"}, "/limit"),
        ({"q": "a", "min_score": "nan"}, "/min_score"),
        ({"q": "a", "label": ""}, "/label"),
        ({"q": "a", "label": "unicorn"}, "/label"),
        ({"q": "a", "license": "gpl"}, "/license"),
        ({"q": "a", "license_type": "free"}, "/license_type"),
        ({"q": "a", "labels": "dog"}, "/labels"),
        ({"q": "a", "facets": "some"}, "/facets"),
        ({"q": "a", "diversity": "2"}, "/diversity"),
        ({"q": "a", "collapse_duplicates": "2"}, "/collapse_duplicates"),
        ({"q": ["a", "b"]}, "/q"),
        ({"q": ["a", "a"]}, "/q"),
        ({"q": "a", "limit": ["1", "2"]}, "/limit"),
        ({"q": "a", "license": ["by", "cc0"]}, "/license"),
    ],
)
async def test_bad_parameters(gateway: Gateway, parameters: dict[str, str | list[str]], pointer: str) -> None:
    answer = await gateway.http.get("/v1/search", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_damaged_image_in_a_multipart_search(gateway: Gateway) -> None:
    truncated = noise_jpeg(1, 400, 400)[:3000]
    answer = await gateway.http.post("/v1/search", files={"file": truncated})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_truncated")
    answer = await gateway.http.post("/v1/search", files={"file": b""})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_empty")
