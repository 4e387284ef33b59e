"""A search as the command line means it -> what the HTTP API is asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from kindred_kit.errors import KindredError, Status, error_from_code
from kindred_standalone.connect import Node
from kindred_standalone.errors import UsageError
from kindred_standalone.references import read_named
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.text import printable

NOTHING_ASKED = "say what to look for: a text, --image FILE, --label NAME, --model NAME, or several of them"


@dataclass(frozen=True)
class Region:
    """A rectangle of the image: top-left corner and size, as fractions of its sides."""

    x: float
    y: float
    w: float
    h: float

    @classmethod
    def parse(cls, text: str) -> Region:
        """`x,y,w,h`. Raises UsageError unless the rectangle lies in the image."""
        try:
            x, y, w, h = (float(part) for part in text.split(","))
        except ValueError:
            raise UsageError("--region takes four numbers: x,y,w,h, each a fraction of the image's side") from None
        if not (0 <= x < 1 and 0 <= y < 1 and 0 < w <= 1 - x + 1e-9 and 0 < h <= 1 - y + 1e-9):
            raise UsageError("--region has to lie in the image: x, y, w and h between 0 and 1, x+w and y+h at most 1")
        return cls(x, y, w, h)


@dataclass(frozen=True)
class Query:
    """What is looked for. `image` is a file; text and image together make a mix of both, neither the newest images."""

    text: str = ""
    image: Path | None = None
    region: Region | None = None
    labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()
    min_precision: float = 0.0
    origin: str = ""
    models: tuple[str, ...] = ()
    prompt_contains: str = ""
    limit: int = 10
    min_score: float | None = None
    facets: bool = False
    collapse_duplicates: bool = False
    diversity: float = 0.0

    @property
    def filters_images(self) -> bool:
        """Whether there is a filter, which needs no query beside it."""
        return bool(self.labels or self.without_labels or self.origin or self.models or self.prompt_contains)

    @property
    def title(self) -> str:
        if not self.text and self.image is None:
            return "newest images"
        parts = [f"“{printable(self.text)}”"] if self.text else []
        if self.image is not None:
            parts.append(printable(self.image.name))
        return " + ".join(parts)

    @property
    def kind(self) -> str:
        if not self.text and self.image is None:
            return "by filter"
        image = "a region of an image" if self.region else "an image"
        if self.text and self.image is not None:
            return f"by text and {image}"
        return f"by {image}" if self.image is not None else "by text"

    @property
    def filters(self) -> str:
        """`with dog, without person, score at least 0.2`."""
        sure = f" (precision {self.min_precision:g})" if self.min_precision else ""
        parts = [f"with {printable(name)}{sure}" for name in self.labels]
        parts += [f"without {printable(name)}" for name in self.without_labels]
        if self.origin:
            parts.append("photos" if self.origin == "photo" else "generated images")
        if self.models:
            parts.append(f"by model {' or '.join(map(printable, self.models))}")
        if self.prompt_contains:
            parts.append(f"prompt with “{printable(self.prompt_contains)}”")
        if self.min_score is not None:
            parts.append(f"score at least {self.min_score:g}")
        if self.collapse_duplicates:
            parts.append("near copies collapsed")
        if self.diversity:
            parts.append(f"diversity {self.diversity:g}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Answer:
    """`raw` is exactly what the HTTP API sent."""

    raw: bytes
    body: dict[str, Any]

    @property
    def results(self) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.body["results"]
        return results


async def ask(node: Node, query: Query) -> Answer:
    """Search. Raises UsageError where nothing is asked, and whatever the API answers."""
    terms: list[dict[str, Any]] = []
    if query.text.strip():
        terms.append({"text": query.text})
    if query.image is not None:
        term: dict[str, Any] = {"upload_id": await upload(node, query.image)}
        if query.region is not None:
            term["region"] = vars(query.region)
        terms.append(term)
    if not terms and not query.filters_images:
        raise UsageError(NOTHING_ASKED)
    request: dict[str, Any] = {
        "query": terms,
        "limit": query.limit,
        "facets": query.facets,
        "collapse_duplicates": query.collapse_duplicates,
        "diversity": query.diversity,
    }
    if query.filters_images:
        request["filter"] = _filter(query)
    if query.min_score is not None:
        request["min_score"] = query.min_score
    return checked(await node.http.post("/v1/search", json=request))


def _filter(query: Query) -> dict[str, Any]:
    wanted: dict[str, Any] = {"labels": {}}
    if query.labels:
        wanted["labels"]["all"] = [{"class": name, "min_precision": query.min_precision} for name in query.labels]
    if query.without_labels:
        wanted["labels"]["none"] = list(query.without_labels)
    if query.origin:
        wanted["origin"] = query.origin
    if query.models:
        wanted["model"] = {"in": list(query.models)}
    if query.prompt_contains:
        wanted["prompt"] = {"contains": query.prompt_contains}
    return wanted


async def upload(node: Node, image: Path) -> str:
    """Hand a query image to the gateway, which forgets it after a day; its upload id."""
    data = await asyncio.to_thread(read_named, image, StandaloneSettings().max_image_bytes)
    answer = checked(await node.http.post("/v1/uploads", files={"file": ("query", data)}))
    return str(answer.body["upload_id"])


def checked(response: httpx.Response) -> Answer:
    """The answer, or the error that it tells of."""
    if response.status_code < 400:
        return Answer(response.content, orjson.loads(response.content) if response.content else {})
    try:
        problem = orjson.loads(response.content)
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        raise KindredError(f"the gateway answered {response.status_code} without a reason") from None
    raise error_from_code(code, detail, _status(response.status_code))


def _status(http: int) -> Status:
    return next((status for status in Status if status.http == http), Status.MALFORMED)
