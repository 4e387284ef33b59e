"""The order of a data set, as a model that also makes the OpenAPI schema."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kindred_gateway.filters import Filter, LicenseTypes, StrictModel
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_gateway.queries import ImageId, QueryTerm, UploadId

FORMATS = ("coco", "yolo", "voc")
_SOURCES = ("query", "ids", "failures")
_CODES = {
    "/size": "size_invalid",
    "/labels/min_score": "threshold_invalid",
    "/labels/min_precision": "threshold_invalid",
    "/labels/thresholds": "threshold_invalid",
    "/format": "format_unknown",
}
Share = Annotated[float, Field(ge=0, le=1)]


class MissedBox(StrictModel):
    """What the model missed."""

    bbox: list[float] = Field(
        min_length=4, max_length=4, description="[x, y, w, h] in pixels of the EXIF-oriented photo, as COCO has it"
    )
    class_name: str = Field(default="", alias="class", max_length=100)


class FailurePhoto(StrictModel):
    """A photo on which a model fails: exactly one of image_id and upload_id."""

    image_id: ImageId | None = None
    upload_id: UploadId | None = None
    boxes: list[MissedBox] = Field(default=[], max_length=50, description="Look for these objects, too")

    @model_validator(mode="after")
    def _one_source(self) -> "FailurePhoto":
        if (self.image_id is None) == (self.upload_id is None):
            raise PydanticCustomError("one_source", "exactly one of image_id and upload_id is needed")
        return self


class Holdout(StrictModel):
    """Your own validation and test photos: their near copies are left out."""

    image_ids: list[ImageId] = Field(default=[], max_length=100_000)
    upload_ids: list[UploadId] = Field(default=[], max_length=10_000)


class ExportedLabels(StrictModel):
    classes: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[], max_length=1000, description="Export these only; empty: all"
    )
    min_score: Share | None = Field(default=None, description="Boxes below are not exported")
    min_precision: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Only boxes so precise, and classes that are, as `kindred labels calibrate` has measured",
    )
    thresholds: dict[str, Share] = Field(
        default={}, max_length=1000, description="Per class, before min_score; from `kindred labels calibrate`"
    )


class DatasetBody(StrictModel):
    """Exactly one of query, ids and failures. The filter holds for each of them."""

    name: str = Field(default="", max_length=200)
    query: list[QueryTerm] | None = Field(
        default=None, max_length=64, description="As a search has it; empty: what passes the filter, newest first"
    )
    ids: list[ImageId] | None = Field(default=None, min_length=1, max_length=100_000)
    failures: list[FailurePhoto] | None = Field(default=None, min_length=1, max_length=1000)
    filter: Filter = Filter()
    license_type: LicenseTypes | None = Field(default=None, description="What the licences have to permit")
    size: int = Field(default=1000, ge=1, le=100_000, description="Images wanted; for ids the default is all of them")
    min_score: float | None = Field(default=None, ge=-1, le=1, description="Cosine similarity; not for ids")
    diversity: float = Field(default=0, ge=0, le=1, description="0: the nearest; 1: the widest cover")
    balance: bool = Field(default=False, description="Choose so that the classes get equal shares")
    keep_duplicates: bool = Field(default=False, description="Keep near copies among the results")
    holdout: Holdout = Holdout()
    labels: ExportedLabels = ExportedLabels()
    format: str = Field(default="coco", json_schema_extra={"enum": list(FORMATS)})
    links: bool = Field(default=False, description="Image links instead of files")
    val_share: float = Field(default=0.2, ge=0, le=0.9, description="Share of the images in the validation split")
    seed: int = Field(default=0, ge=-(2**53), le=2**53, description="Of the split")

    @model_validator(mode="after")
    def _one_source(self) -> "DatasetBody":
        if sum(getattr(self, name) is not None for name in _SOURCES) != 1:
            raise PydanticCustomError("one_source", "exactly one of query, ids and failures is needed")
        return self


def checked(body: DatasetBody) -> DatasetBody:
    """Raises RequestInvalid for a format nobody knows: a code of its own."""
    if body.format not in FORMATS:
        detail = f"no such format; there are {', '.join(FORMATS)}"
        raise RequestInvalid([FieldError("/format", "format_unknown", detail)], code="format_unknown")
    return body


def named(error: RequestInvalid) -> RequestInvalid:
    """The error with a code that tells what is wrong with the order, where one says it all."""
    codes = {
        next((code for start, code in _CODES.items() if item.pointer.startswith(start)), error.code)
        for item in error.errors
    }
    return RequestInvalid(error.errors, code=codes.pop()) if len(codes) == 1 else error
