"""The body of a search: what may be asked, as models that also make the OpenAPI schema."""

import hashlib
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kindred.embedder.v1 import embedder_pb2
from kindred_gateway.filters import Filter, StrictModel

MAX_LIMIT = 100
DEFAULT_LIMIT = 30
MAX_TEXT_CHARS = 2000
ImageId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the image's bytes, 64 hex digits")]
UploadId = Annotated[str, Field(min_length=1, max_length=100, description="From POST /v1/uploads")]
Weight = Annotated[float, Field(ge=-100, le=100, description="Negative: away from it")]
HitField = Literal[
    "aspects", "width", "height", "urls", "labels", "rights", "generation", "caption", "file_name", "duplicates"
]
_SOURCES = ("text", "image_id", "upload_id")


class Region(StrictModel):
    """Top-left corner and size, normalised to [0, 1] of the EXIF-oriented image."""

    x: float
    y: float
    w: float
    h: float

    def to_proto(self) -> embedder_pb2.Region:
        return embedder_pb2.Region(x=self.x, y=self.y, w=self.w, h=self.h)


class QueryTerm(StrictModel):
    """Exactly one of text, image_id and upload_id."""

    text: str | None = Field(default=None, min_length=1, max_length=MAX_TEXT_CHARS)
    image_id: ImageId | None = None
    upload_id: UploadId | None = None
    region: Region | None = Field(default=None, description="Of the image; not with text")
    weight: Weight = 1

    @model_validator(mode="after")
    def _one_source(self) -> "QueryTerm":
        if sum(getattr(self, name) is not None for name in _SOURCES) != 1:
            raise PydanticCustomError("one_source", "exactly one of text, image_id and upload_id is needed")
        if self.text is not None and not self.text.strip():
            raise PydanticCustomError("text_blank", "the text is blank")
        if self.text is not None and self.region is not None:
            raise PydanticCustomError("region_of_text", "a text has no region")
        return self


class SearchBody(StrictModel):
    """A search. The next page is the same body with the answer's `next_cursor` as `cursor`."""

    query: list[QueryTerm] = Field(
        default=[], max_length=64, description="A weighted mix; without one: what passes the filter, newest first"
    )
    filter: Filter = Filter()
    min_score: float | None = Field(default=None, ge=-1, le=1, description="Cosine similarity; not without a query")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(default=None, max_length=4096)
    fields: list[HitField] | None = Field(
        default=None, max_length=20, description="Parts of a hit to answer beside id and score; null: all"
    )
    facets: bool = Field(default=False, description="Count the labels among the best 1,000 hits")
    collapse_duplicates: bool = Field(
        default=False, description="Near copies of a better hit stand in its `duplicates` instead of in the list"
    )
    diversity: float = Field(default=0, ge=0, le=1, description="0: the nearest; 1: the widest cover of the best 1,000")
    aspects: Any = Field(default=None, description="Not available yet")

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_built(cls, body: Any) -> Any:
        if isinstance(body, dict) and body.get("aspects"):
            raise PydanticCustomError("not_available", "aspects is not available yet")
        return body


def query_digest(body: SearchBody, exclude_ids: tuple[str, ...] = (), file_sha256: str = "") -> str:
    """What a cursor is bound to: all that makes the ranked list, not the page size or the fields."""
    canonical = {
        "query": [term.model_dump(exclude_none=True) for term in body.query],
        "filter": body.filter.model_dump(exclude_unset=True),
        "min_score": body.min_score,
        "facets": body.facets,
        "collapse_duplicates": body.collapse_duplicates,
        "diversity": body.diversity,
        "exclude": exclude_ids,
        "file": file_sha256,
    }
    return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()
