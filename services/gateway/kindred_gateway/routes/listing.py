"""Query parameters of every route that answers a list of hits, and the search body that they become."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from kindred_gateway.bodies import fitted
from kindred_gateway.filters import LicenseType
from kindred_gateway.presentation import Json
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_gateway.queries import DEFAULT_LIMIT, MAX_LIMIT, SearchBody

_PARAMETERS = {
    "/query/0/image_id": "/image_id",
    "/query": "/q",
    "/filter/labels/all": "/label",
    "/filter/labels/none": "/no_label",
    "/filter/license_type": "/license_type",
    "/filter/license": "/license",
}

LabelNames = Annotated[list[str] | None, Query(max_length=20, description="All of these classes")]
NoLabelNames = Annotated[list[str] | None, Query(max_length=20, description="None of these classes")]
LicenseNames = Annotated[
    str | None, Query(alias="license", max_length=200, description="One licence or several, comma-separated")
]


@dataclass(frozen=True)
class Listing:
    """As FastAPI reads them; descriptions without a word are those of the body's fields."""

    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    label: LabelNames = None
    no_label: NoLabelNames = None
    license_names: LicenseNames = None
    license_type: Annotated[LicenseType | None, Query(description="What the licence has to permit")] = None
    min_score: Annotated[float | None, Query(ge=-1, le=1, allow_inf_nan=False)] = None
    facets: Annotated[bool, Query(description="Count the labels among the best 1,000 hits")] = False
    collapse_duplicates: Annotated[bool, Query(description="Near copies stand behind the better hit")] = False
    diversity: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="0: nearest; 1: widest cover")] = 0
    cursor: Annotated[str | None, Query(max_length=4096, description="`next_cursor` of the page before")] = None

    def body(self, query: list[Json]) -> SearchBody:
        """Raises RequestInvalid, pointing at parameters."""
        said = {
            "query": query,
            "filter": self._filter(),
            "limit": self.limit,
            "min_score": self.min_score,
            "facets": self.facets,
            "collapse_duplicates": self.collapse_duplicates,
            "diversity": self.diversity,
            "cursor": self.cursor,
        }
        try:
            return fitted(said, SearchBody)
        except RequestInvalid as error:
            fields = [FieldError(parameter_of(item.pointer), item.code, item.detail) for item in error.errors]
            raise RequestInvalid(fields, code=error.code) from None

    def _filter(self) -> Json:
        filter_body: Json = {"labels": {"all": self.label or [], "none": self.no_label or []}}
        if self.license_names:
            filter_body["license"] = {"in": [name.strip() for name in self.license_names.split(",")]}
        if self.license_type:
            filter_body["license_type"] = self.license_type
        return filter_body


ListingDep = Annotated[Listing, Depends()]


def parameter_of(pointer: str) -> str:
    """An error points at the parameter, not at the body that it became."""
    return next((name for start, name in _PARAMETERS.items() if pointer.startswith(start)), pointer)
