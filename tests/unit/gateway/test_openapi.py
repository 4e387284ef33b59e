"""The OpenAPI document is valid, complete, and what the server really does."""

from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter
from support.photos import noise_jpeg
from unit.gateway.harness import Gateway

from kindred_gateway import schemas


async def test_the_document_is_valid_and_complete(gateway: Gateway) -> None:
    document: dict[str, Any] = (await gateway.http.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    paths = document["paths"]
    assert set(paths) >= {
        "/v1/search", "/v1/images", "/v1/images/{image_id}", "/v1/images/{image_id}/file",
        "/v1/images/{image_id}/thumb", "/v1/images/{image_id}/similar", "/v1/uploads", "/v1/detect", "/v1/embed",
        "/v1/labels", "/v1/label-requests", "/v1/datasets", "/v1/datasets/{dataset_id}",
        "/v1/datasets/{dataset_id}/archive", "/v1/jobs/{job_id}", "/v1/status", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    for path, methods in paths.items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            if method == "post":
                assert operation["requestBody"]["content"], where
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (where, status)
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    search_filter = document["components"]["schemas"]["Filter"]["properties"]
    assert set(search_filter) == {
        "labels", "license", "license_type", "origin", "format", "model", "prompt", "width", "height", "or",
    }  # fmt: skip


async def test_answers_fit_the_schema(gateway: Gateway) -> None:
    image_id = await gateway.add()
    await gateway.add(noise_jpeg(4))
    get, post = gateway.http.get, gateway.http.post
    answers = {
        schemas.SearchAnswer: await get("/v1/search?q=a&limit=1&facets=true"),
        schemas.ImageAnswer: await get(f"/v1/images/{image_id}"),
        schemas.AcceptedAnswer: await post("/v1/images", files={"file": noise_jpeg(1)}),
        schemas.UploadAnswer: await post("/v1/uploads", files={"file": noise_jpeg(1)}),
        schemas.LabelRequestAnswer: await post("/v1/label-requests", json={"class": "violin"}),
        schemas.DetectAnswer: await post("/v1/detect", files={"file": noise_jpeg(1)}),
        schemas.EmbedAnswer: await post("/v1/embed", json={"texts": ["a"]}),
        schemas.LabelsAnswer: await get("/v1/labels"),
        schemas.StatusAnswer: await get("/v1/status"),
        schemas.HealthAnswer: await get("/healthz"),
        schemas.ReadyAnswer: await get("/readyz"),
        schemas.Problem: await get("/v1/search?q="),
    }
    for model, answer in answers.items():
        body = answer.json()
        parsed = TypeAdapter(model).validate_python(body, strict=True)
        assert set(TypeAdapter(model).dump_python(parsed, by_alias=True)) == set(body)
