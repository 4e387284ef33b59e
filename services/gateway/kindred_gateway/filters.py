"""The filter grammar of the HTTP API -> search.v1.Filter."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from kindred.search.v1 import search_pb2
from kindred_kit.errors import InvalidFilter
from kindred_kit.licenses import LICENSE_TYPES

MAX_DEPTH = 4
MAX_CONDITIONS = 200
LicenseName = Literal[
    "cc0", "pdm", "by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "unsplash", "proprietary", "unknown"
]
LicenseType = Literal["commercial", "modification"]
Origin = Literal["photo", "generated"]
Format = Literal["jpeg", "png", "webp", "gif", "heic", "avif", "bmp", "tiff"]
_OPERATORS = {
    "eq": search_pb2.OPERATOR_EQ,
    "ne": search_pb2.OPERATOR_NE,
    "gt": search_pb2.OPERATOR_GT,
    "gte": search_pb2.OPERATOR_GTE,
    "lt": search_pb2.OPERATOR_LT,
    "lte": search_pb2.OPERATOR_LTE,
    "in_": search_pb2.OPERATOR_IN,
    "not_in": search_pb2.OPERATOR_NOT_IN,
    "contains": search_pb2.OPERATOR_CONTAINS,
}


class StrictModel(BaseModel):
    """No unknown fields, no coercion (`"1"` is not a number), no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class _Short(StrictModel):
    """A model that may be written as a bare value of its field `short`."""

    short: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | BaseModel) else {cls._short_key(): value}

    @classmethod
    def _short_key(cls) -> str:
        return cls.model_fields[cls.short].alias or cls.short

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [full["properties"][cls._short_key()], full]}


class _Condition(_Short):
    """At least one operator; all of them must hold."""

    short = "eq"

    @model_validator(mode="after")
    def _not_empty(self) -> "_Condition":
        if not self.model_fields_set:
            raise PydanticCustomError("empty_condition", "at least one operator is needed")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        short_or_full = super().__get_pydantic_json_schema__(schema, handler)
        for item in short_or_full["anyOf"][1]["properties"].values():
            item.pop("default", None)  # a place-holder: what is not written is no condition
        return short_or_full

    def compiled(self, field: str) -> Iterable[search_pb2.Condition]:
        for name, value in self.model_dump(exclude_unset=True).items():
            values = value if isinstance(value, list) else [value]
            yield search_pb2.Condition(field=field, operator=_OPERATORS[name], values=[_value(item) for item in values])


class LicenseCondition(_Condition):
    eq: LicenseName = "unknown"
    ne: LicenseName = "unknown"
    in_: list[LicenseName] = Field(default=[], alias="in", min_length=1, max_length=20)
    not_in: list[LicenseName] = Field(default=[], min_length=1, max_length=20)


class OriginCondition(_Condition):
    eq: Origin = "photo"
    ne: Origin = "photo"
    in_: list[Origin] = Field(default=[], alias="in", min_length=1, max_length=20)
    not_in: list[Origin] = Field(default=[], min_length=1, max_length=20)


class FormatCondition(_Condition):
    eq: Format = "jpeg"
    ne: Format = "jpeg"
    in_: list[Format] = Field(default=[], alias="in", min_length=1, max_length=20)
    not_in: list[Format] = Field(default=[], min_length=1, max_length=20)


ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class ModelCondition(_Condition):
    """Of a generated image; upper and lower case are the same."""

    eq: ModelName = ""
    ne: ModelName = ""
    in_: list[ModelName] = Field(default=[], alias="in", min_length=1, max_length=100)
    not_in: list[ModelName] = Field(default=[], min_length=1, max_length=100)


class PromptCondition(_Condition):
    """Of a generated image: all of these words occur in its prompt, in any order and case."""

    short = "contains"
    contains: str = Field(default="", min_length=1, max_length=1000)


Pixels = Annotated[float, Field(ge=0, le=10**9)]


class PixelsCondition(_Condition):
    eq: Pixels = 0
    ne: Pixels = 0
    gt: Pixels = 0
    gte: Pixels = 0
    lt: Pixels = 0
    lte: Pixels = 0
    in_: list[Pixels] = Field(default=[], alias="in", min_length=1, max_length=100)
    not_in: list[Pixels] = Field(default=[], min_length=1, max_length=100)


class LabelTerm(_Short):
    """At least `min_count` boxes of a class with at least `min_score`."""

    short = "class_name"
    class_name: str = Field(alias="class", min_length=1, max_length=100)
    min_score: float = Field(default=0, ge=0, le=1)
    min_precision: float = Field(
        default=0, ge=0, le=1, description="Instead of min_score: so precise, as kindred labels calibrate has measured"
    )
    min_count: int = Field(default=1, ge=1, le=5)
    label_set: str = Field(default="", max_length=100, description="Empty: any that has the class, coco-80 first")

    def compiled(self) -> search_pb2.LabelTerm:
        return search_pb2.LabelTerm(
            label_set=self.label_set,
            class_name=self.class_name,
            min_score=self.min_score,
            min_precision=self.min_precision,
            min_count=self.min_count,
        )


class Labels(StrictModel):
    all: list[LabelTerm] = Field(default=[], max_length=20)
    any: list[LabelTerm] = Field(default=[], max_length=20)
    none: list[LabelTerm] = Field(default=[], max_length=20)


class LicenseTypes(StrictModel):
    """What the licence has to permit: one name or several, all of which must hold."""

    all_of: list[LicenseType] = Field(min_length=1, max_length=2)

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return {"all_of": value if isinstance(value, list) else [value]}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        names = handler.resolve_ref_schema(handler(schema))["properties"]["all_of"]
        return {"anyOf": [names["items"], names]}


class Filter(StrictModel):
    """All that is set must hold."""

    labels: Labels = Labels()
    license: LicenseCondition | None = None
    license_type: LicenseTypes | None = None
    origin: OriginCondition | None = None
    format: FormatCondition | None = None
    model: ModelCondition | None = None
    prompt: PromptCondition | None = None
    width: PixelsCondition | None = Field(default=None, description="Pixels, EXIF orientation applied")
    height: PixelsCondition | None = Field(default=None, description="Pixels, EXIF orientation applied")
    or_: list["Filter"] = Field(default=[], alias="or", max_length=20, description="At least one of these must hold")

    def compiled(self) -> search_pb2.Filter:
        """Raises InvalidFilter where it is nested too deep or too large."""
        compiled = self._compiled(depth=1)
        if _count(compiled) > MAX_CONDITIONS:
            raise InvalidFilter(f"the filter has more than {MAX_CONDITIONS} conditions", pointer="/filter")
        return compiled

    def _compiled(self, depth: int) -> search_pb2.Filter:
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"the filter is nested more than {MAX_DEPTH} deep", pointer="/filter")
        compiled = search_pb2.Filter(
            labels_all=[term.compiled() for term in self.labels.all],
            labels_any=[term.compiled() for term in self.labels.any],
            labels_none=[term.compiled() for term in self.labels.none],
            any_of=[item._compiled(depth + 1) for item in self.or_],
        )
        for field in ("license", "origin", "format", "model", "prompt", "width", "height"):
            condition: _Condition | None = getattr(self, field)
            if condition is not None:
                compiled.conditions.extend(condition.compiled(field))
        for name in self.license_type.all_of if self.license_type else ():
            compiled.conditions.append(
                search_pb2.Condition(
                    field="license",
                    operator=search_pb2.OPERATOR_IN,
                    values=[_value(license_name) for license_name in LICENSE_TYPES[name]],
                )
            )
        return compiled


def _value(value: str | float) -> search_pb2.Value:
    return search_pb2.Value(text=value) if isinstance(value, str) else search_pb2.Value(number=value)


def _count(compiled: search_pb2.Filter) -> int:
    own = len(compiled.labels_all) + len(compiled.labels_any) + len(compiled.labels_none) + len(compiled.conditions)
    return own + sum(_count(item) for item in compiled.any_of)
