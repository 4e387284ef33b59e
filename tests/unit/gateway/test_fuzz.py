"""Whatever a client sends to /v1/search: an answer, never a 500."""

import json
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.gateway.harness import Gateway

_SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NUMBER = st.integers(-5, 200) | st.floats(-2, 2) | _JSON
_CONDITION = (
    st.sampled_from(["cc0", "photo", "jpeg"])
    | _NUMBER
    | st.dictionaries(
        st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "like"]), _NUMBER, max_size=3
    )
)
_LABELS = st.lists(
    st.sampled_from(["dog", "unicorn"])
    | st.fixed_dictionaries({"class": _JSON | st.just("dog")}, optional={"min_score": _NUMBER, "min_count": _NUMBER}),
    max_size=3,
)
_FILTER = st.fixed_dictionaries(
    {},
    optional={
        "labels": _JSON | st.dictionaries(st.sampled_from(["all", "any", "none", "some"]), _LABELS, max_size=3),
        "license": _CONDITION,
        "license_type": st.sampled_from(["commercial", ["modification"], "x"]) | _JSON,
        "width": _CONDITION,
        "origin": _CONDITION,
        "or": st.lists(st.fixed_dictionaries({}, optional={"height": _CONDITION}), max_size=2) | _JSON,
    },
)
_TERM = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=30) | _JSON,
        "image_id": st.just("0" * 64) | _JSON,
        "upload_id": st.just("up_" + "0" * 48) | _JSON,
        "weight": _NUMBER,
        "region": st.fixed_dictionaries(dict.fromkeys("xywh", _NUMBER)) | _JSON,
    },
)
_BODY = st.fixed_dictionaries(
    {},
    optional={
        "query": st.lists(_TERM, max_size=3) | _JSON,
        "filter": _FILTER | _JSON,
        "min_score": _NUMBER,
        "limit": _NUMBER,
        "cursor": st.text(max_size=40) | _JSON,
        "fields": st.lists(st.sampled_from(["labels", "rights", "x"]), max_size=3) | _JSON,
        "diversity": _JSON,
    },
)


def _dumped(value: Any) -> bytes:
    """As a hostile client writes it: NaN and huge numbers included."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=_BODY | _JSON)
async def test_any_json_body(gateway: Gateway, body: Any) -> None:
    answer = await gateway.http.post("/v1/search", content=_dumped(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 400, 404, 422}, answer.text
    assert orjson.loads(answer.content)["id" if answer.status_code == 200 else "code"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parameters=st.lists(
        st.tuples(
            st.sampled_from(["q", "limit", "label", "no_label", "license", "license_type", "min_score", "cursor", "x"]),
            st.text(max_size=20),
        ),
        max_size=5,
    )
)
async def test_any_parameters(gateway: Gateway, parameters: list[tuple[str, str]]) -> None:
    answer = await gateway.http.get("/v1/search", params=parameters)
    assert answer.status_code in {200, 400, 422}, answer.text


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300), request=st.text(max_size=40), region=st.text(max_size=20))
async def test_any_multipart(gateway: Gateway, content: bytes, request: str, region: str) -> None:
    answer = await gateway.http.post("/v1/search", files={"file": content}, data={"request": request, "region": region})
    assert answer.status_code in {400, 415, 422}, answer.text
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await gateway.http.post("/v1/images", content=b"--b\r\n" + content, headers=headers)
    assert answer.status_code in {400, 415, 422}, answer.text
