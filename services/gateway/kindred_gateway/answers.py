"""JSON answers, and how a route documents its errors."""

from typing import Any

import orjson
from starlette.responses import Response

from kindred_gateway.problems import MEDIA_TYPE
from kindred_gateway.schemas import Problem


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def problems(**codes: str) -> dict[int | str, dict[str, Any]]:
    """`problems(s404="image_not_found")` -> OpenAPI responses; 503 and 500 can happen anywhere."""
    merged = {"s422": "invalid_argument", "s500": "internal", "s503": "unavailable, deadline_exceeded", **codes}
    return {
        int(status.removeprefix("s")): {
            "description": f"code: {names}",
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
        }
        for status, names in merged.items()
    }


IMAGE_PROBLEMS = {
    "s400": "malformed_body",
    "s408": "body_timeout",
    "s413": "image_too_large, body_too_large",
    "s415": "unsupported_media_type, image_unsupported_format",
    "s422": "invalid_argument, image_empty, image_truncated, image_too_many_pixels, image_unreadable",
}
