"""A data set as the job that makes it."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from kindred.datasets.v1 import datasets_pb2 as pb


class State(IntEnum):
    """The numbers are those of kindred.datasets.v1.DatasetState and are stored."""

    QUEUED = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4


class Stage(StrEnum):
    """In this order: embed what was given, collect candidates, take out copies and choose, write, store."""

    EMBED = "embed"
    SELECT = "select"
    GUARD = "guard"
    EXPORT = "export"
    PACK = "pack"


@dataclass
class Progress:
    """How far a build is; the lease's heartbeat writes it down."""

    stage: Stage = Stage.EMBED
    done: int = 0
    total: int = 0
    failed: int = 0

    def begin(self, stage: Stage, total: int = 0) -> None:
        self.stage, self.done, self.total = stage, 0, total


@dataclass(frozen=True, slots=True)
class NewJob:
    """A checked order. `digest` tells orders apart, whatever floats an embedding of the same text came to."""

    owner: str
    idempotency_key: str
    digest: str
    spec: pb.DatasetSpec
    request_id: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip in the object store."""

    key: str
    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What a finished data set holds."""

    images: int
    boxes: int
    failed: int
    archive: Archive
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Job:
    """Times are Unix milliseconds, 0 where they have not come; `spec` is empty in a list."""

    dataset_id: str
    owner: str
    name: str
    spec: pb.DatasetSpec
    request_id: str
    state: State
    stage: str
    done: int
    total: int
    failed: int
    attempts: int
    images: int
    boxes: int
    created_at_ms: int
    finished_at_ms: int
    expires_at_ms: int
    error_code: str
    error_detail: str
    archive: Archive
    manifest_sha256: str
