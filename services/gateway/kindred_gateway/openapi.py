"""The OpenAPI document: what FastAPI finds, and the bodies that the routes read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kindred_gateway.datasets.bodies import DatasetBody
from kindred_gateway.documents import DetectBody, EmbedBody, IngestBody, UploadBody
from kindred_gateway.queries import SearchBody
from kindred_gateway.schemas import Problem

REF = "#/components/schemas/{model}"
BODIES: tuple[type[BaseModel], ...] = (SearchBody, IngestBody, UploadBody, DetectBody, EmbedBody, DatasetBody)


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` answer the complete document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, definitions = models_json_schema(
        [*((model, "validation") for model in BODIES), (Problem, "serialization")], ref_template=REF
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    # FastAPI's own error model is never answered
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document
