"""Checks of path and query parameters that several routes share."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant

from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_kit.errors import ImageNotFound

_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


def known_image_id(image_id: str) -> str:
    """A path's id, or ImageNotFound where no image could ever have it."""
    if not _IMAGE_ID.fullmatch(image_id):
        raise ImageNotFound("there is no image with this id; an id is 64 hex digits in lower case")
    return image_id


def refuse_unknown_parameters(request: Request, known: frozenset[str] | None = None) -> None:
    """A misspelt parameter, or the second of two, would silently change what is searched.

    `known`: default, those of the route; only a list may be there several times.
    """
    several: frozenset[str] = frozenset()
    if known is None:
        parameters = list(_parameters(request.scope["route"].dependant))
        known = frozenset(parameter.alias for parameter in parameters)
        several = frozenset(item.alias for item in parameters if _is_list(item.field_info.annotation))
    given = Counter(name for name, _ in request.query_params.multi_items())
    found = [(name, "unknown_parameter", "there is no such parameter") for name in given if name not in known]
    found += [
        (name, "repeated_parameter", "the parameter is there twice")
        for name, count in given.items()
        if count > 1 and name in known and name not in several
    ]
    if found:
        raise RequestInvalid([FieldError(f"/{name[:100]}", code, detail) for name, code, detail in sorted(found)])


def _parameters(dependant: Dependant) -> Iterator[Any]:
    """Query parameters of a route and of what it depends on."""
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(option) is list for option in get_args(annotation))
