"""Request bodies: JSON against a model, or multipart with one image in `file` and text fields beside it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from kindred_gateway.problems import FieldError, MalformedBody, RequestInvalid, UnsupportedMediaType, invalid_model
from kindred_gateway.settings import GatewaySettings
from kindred_kit.errors import ImageEmpty, ImageTooLarge
from kindred_kit.imaging.rights import clean_text

Model = TypeVar("Model", bound=BaseModel)
MAX_FIELDS = 20


@dataclass(frozen=True)
class Form:
    """`file` is None where the form had none."""

    file: UploadFile | None
    fields: Mapping[str, str]

    async def image(self, settings: GatewaySettings) -> bytes:
        """The bytes of the file. Raises RequestInvalid (no file), ImageEmpty, ImageTooLarge."""
        if self.file is None:
            raise RequestInvalid([FieldError("/file", "missing", "a file part named `file` is needed")])
        if not self.file.size:
            raise ImageEmpty("the file has no bytes", pointer="/file")
        if self.file.size > settings.max_image_bytes:
            raise ImageTooLarge(
                f"the image has {self.file.size:,} bytes, more than the {settings.max_image_bytes:,} allowed",
                pointer="/file",
            )
        return await self.file.read()

    @property
    def file_name(self) -> str:
        """The name that the client gave, without folders and control characters, for display only."""
        name = (self.file.filename if self.file else None) or ""
        return (clean_text(name.replace("\\", "/").rpartition("/")[2]) or "")[:255]


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_multipart(request: Request) -> bool:
    return media_type(request) == "multipart/form-data"


async def read_json(request: Request, model: type[Model]) -> Model:
    """The body as `model`. Raises UnsupportedMediaType, MalformedBody, RequestInvalid, NotAvailable."""
    kind = media_type(request)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType(f"the body has to be application/json, not {kind[:100] or 'of no type'}")
    return parse_json(await request.body(), model)


def parse_json(data: bytes | str, model: type[Model], pointer: str = "") -> Model:
    """`pointer`: where in the request this document stands, put before the pointers of its errors."""
    try:
        value = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise MalformedBody(f"the body is not JSON: {error}", pointer=pointer or None) from None
    if not isinstance(value, dict):
        raise RequestInvalid([FieldError(pointer, "object_expected", "a JSON object is needed")])
    return fitted(value, model)


def fitted(value: dict[str, Any], model: type[Model]) -> Model:
    """Raises RequestInvalid or NotAvailable with pointers."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_model(error) from None


@asynccontextmanager
async def read_form(request: Request, settings: GatewaySettings, allowed: frozenset[str]) -> AsyncIterator[Form]:
    """A multipart body; a large file waits on disk until it is read. Raises MalformedBody, RequestInvalid."""
    if not is_multipart(request):
        raise UnsupportedMediaType("the body has to be multipart/form-data or application/json")
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=settings.max_field_bytes) as parts:
        file: UploadFile | None = None
        fields: dict[str, str] = {}
        for name, value in parts.multi_items():
            if isinstance(value, UploadFile):
                if name != "file":
                    raise RequestInvalid([FieldError(f"/{name[:100]}", "unknown_field", "the file part is `file`")])
                file = value
            elif name == "file":
                raise RequestInvalid([FieldError("/file", "not_a_file", "`file` has to be a file part")])
            elif name not in allowed:
                raise RequestInvalid([FieldError(f"/{name[:100]}", "unknown_field", "there is no such field")])
            elif name in fields:
                raise RequestInvalid([FieldError(f"/{name}", "repeated_field", "the field is there twice")])
            else:
                fields[name] = value
        yield Form(file, fields)
