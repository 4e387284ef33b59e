"""Checks of path and query parameters that several routes share."""

import re

from fastapi import Request

from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_kit.errors import ImageNotFound

_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


def known_image_id(image_id: str) -> str:
    """A path's id, or ImageNotFound where no image could ever have it."""
    if not _IMAGE_ID.fullmatch(image_id):
        raise ImageNotFound("there is no image with this id; an id is 64 hex digits in lower case")
    return image_id


def refuse_unknown_parameters(request: Request, known: frozenset[str] | None = None) -> None:
    """A misspelt parameter would silently change what is searched. `known`: default, those of the route."""
    if known is None:
        route = request.scope["route"]
        known = frozenset(parameter.alias for parameter in route.dependant.query_params)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise RequestInvalid(
            [FieldError(f"/{name[:100]}", "unknown_parameter", "there is no such parameter") for name in unknown]
        )
