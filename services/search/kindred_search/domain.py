"""What the search service speaks inside; made from protos in `convert` and from rows in `catalogue.rows`."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

WHOLE = "whole"
"""The view that every image has: the image itself."""

UNKNOWN_LICENSE = "unknown"


class State(IntEnum):
    """How far an image is; the numbers are those of kindred.search.v1.State and are stored."""

    STORED = 1
    DERIVED = 2
    INDEXED = 3
    FAILED = 4
    DELETED = 5


EMBEDDED = frozenset({State.DERIVED, State.INDEXED})


class Visibility(IntEnum):
    """The numbers are those of kindred.search.v1.Visibility and are stored."""

    PUBLIC = 1
    PRIVATE = 2


@dataclass(frozen=True, slots=True)
class Rights:
    license: str = UNKNOWN_LICENSE
    license_url: str = ""
    creator: str = ""
    credit: str = ""
    copyright_notice: str = ""
    source_url: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one owner says of an image's bytes."""

    rights: Rights
    visibility: Visibility
    source: str = ""
    file_name: str = ""
    caption: str = ""
    generation: "Generation | None" = None


@dataclass(frozen=True, slots=True)
class Generation:
    """How an image was generated. `seed` 0..2^64-1; `guidance` is the CFG scale; None and "" where nothing is said."""

    tool: str = ""
    model: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None


@dataclass(frozen=True, slots=True)
class NewImage:
    image_id: str
    blob_key: str
    byte_size: int
    mtime_ns: int
    width: int
    height: int
    format: str
    origin: str
    taken_at: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """`created`: new to this owner, who saw neither a claim of its own nor a public one before."""

    image_id: str
    created: bool
    seq: int
    state: State


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that an owner has indexed in place."""

    blob_key: str
    image_id: str
    byte_size: int
    mtime_ns: int
    state: State
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Detection:
    """A labelled box: xyxyn corners of the EXIF-oriented original, score 0..1."""

    label_set: str
    model_name: str
    model_version: str
    class_id: int
    class_name: str
    score: float
    box: tuple[float, float, float, float]
    source: str
    agreement: int


@dataclass(frozen=True, slots=True)
class ViewEmbedding:
    """`vector`: float32 [d], L2-normalised."""

    view: str
    space: str
    model_name: str
    model_version: str
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelRun:
    """All that one run found of one label set; replaces what stood there.

    `run`: the models (name/version) and further looks. `asked`: by a relabelling, which labels of ingest that come late
    do not replace.
    """

    label_set: str
    detections: tuple[Detection, ...]
    run: str
    asked: bool


@dataclass(frozen=True, slots=True)
class Derived:
    """What a worker found out about an image."""

    image_id: str
    seq: int
    embeddings: tuple[ViewEmbedding, ...]
    labels: tuple[LabelRun, ...]
    thumb_key: str


@dataclass(frozen=True, slots=True)
class ImageState:
    image_id: str
    state: State
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as one principal sees it; `claim` is its own, else a public one."""

    image_id: str
    width: int
    height: int
    format: str
    byte_size: int
    origin: str
    taken_at: str
    ingested_at_ms: int
    state: State
    failure: Failure | None
    claim: Claim
    own: bool
    blob_key: str
    thumb_key: str
    labels: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelCount:
    label_set: str
    class_name: str
    images: int
    boxes: int


@dataclass(frozen=True, slots=True)
class Counts:
    images: int
    indexed: int
    pending: int
    failed: int
    claims: int
    outbox: int


@dataclass(frozen=True, slots=True)
class Collection:
    """One generation of the index of (space, view)."""

    name: str
    space: str
    view: str
    generation: int
    dimension: int
