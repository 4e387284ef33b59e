"""Answers as models, for the OpenAPI document alone: answers are serialised by orjson without being validated again."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from kindred_gateway.filters import Format, LicenseName, Origin


class ProblemField(BaseModel):
    pointer: str = Field(description="JSON pointer into the request; for a GET, the name of the parameter")
    code: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` is for a person."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[ProblemField]


class Urls(BaseModel):
    file: str
    thumb: str
    self: str


class Label(BaseModel):
    class_: str = Field(alias="class")
    score: float
    bbox: list[float] = Field(min_length=4, max_length=4, description="[x, y, w, h], pixels of the oriented original")
    source: str = Field(description="single, tta (several looks, fused) or wbf (several models, fused)")
    agreement: int = Field(default=1, description="How many of the runs saw it")


class ImageLabel(Label):
    label_set: str
    model: str


class Rights(BaseModel):
    license: LicenseName
    license_url: str | None
    creator: str | None
    credit: str | None
    copyright_notice: str | None
    source_url: str | None
    attribution: str | None


class GenerationAnswer(BaseModel):
    model: str | None
    prompt: str | None
    negative_prompt: str | None
    seed: int | None = Field(description="0 to 2^64-1")
    sampler: str | None
    steps: int | None
    guidance: float | None = Field(description="CFG scale")
    tool: str | None = Field(description="automatic1111, comfyui, invokeai; null where the uploader said it")


class SearchHit(BaseModel):
    """Only id and score where `fields` left the rest out."""

    id: str
    score: float | None = Field(description="Cosine similarity, higher is better; null where nothing was asked")
    aspects: dict[str, Any] = {}
    width: int = 0
    height: int = 0
    urls: Urls | None = None
    labels: list[Label] = []
    rights: Rights | None = None
    generation: GenerationAnswer | None = None
    caption: str | None = None
    file_name: str | None = None
    duplicates: list[str] = Field(default=[], description="Ids of near copies, where they were to be collapsed")


class LabelCount(BaseModel):
    class_: str = Field(alias="class")
    label_set: str
    images: int
    boxes: int


class Facets(BaseModel):
    labels: list[LabelCount] = Field(description="Most images first")
    over: int = Field(description="How many of the best hits were counted")


class Total(BaseModel):
    value: int
    relation: Literal["eq", "gte"]


class SearchAnswer(BaseModel):
    id: str
    results: list[SearchHit]
    next_cursor: str | None
    total: Total = Field(description="Copies that stand behind a hit are counted too")
    facets: Facets | None = Field(description="Where they were asked for")
    index_version: str
    model: str = Field(description="Embedding space of the scores")


class Failure(BaseModel):
    code: str
    detail: str


State = Literal["stored", "derived", "indexed", "failed", "deleted", "unknown"]


class ImageAnswer(BaseModel):
    id: str
    state: State
    failure: Failure | None
    width: int
    height: int
    format: Format
    byte_size: int
    origin: Origin
    taken_at: str | None
    ingested_at: str | None
    urls: Urls
    labels: list[ImageLabel]
    rights: Rights
    source: str | None
    file_name: str | None
    own: bool
    visibility: Literal["public", "private"]
    generation: GenerationAnswer | None
    caption: str | None


class AcceptedAnswer(BaseModel):
    id: str
    state: State
    created: bool = Field(description="false: the image was known; the claim was added or updated")
    failure: Failure | None
    urls: Urls


class UploadAnswer(BaseModel):
    upload_id: str
    width: int
    height: int
    format: Format
    expires_at: str


JobState = Literal["queued", "running", "done", "failed"]


class JobTimes(BaseModel):
    created_at: str | None
    finished_at: str | None
    expires_at: str | None = Field(description="The data set is kept until then")


class DatasetUrls(BaseModel):
    self: str
    job: str


class Note(BaseModel):
    """What was left out or could not be read, and why."""

    subject: str = Field(description="An image id, or the name of a photo that was given")
    code: str
    detail: str


class JobAnswer(JobTimes):
    id: str
    kind: Literal["dataset"]
    state: JobState
    stage: str | None = Field(description="embed, select, guard, export, pack")
    done: int = Field(description="Of the stage")
    total: int
    failed: int
    errors: list[Note] = Field(description="Of single images")
    error: Failure | None
    urls: DatasetUrls


class Progress(BaseModel):
    done: int
    total: int
    failed: int


class Download(BaseModel):
    url: str = Field(description="Good without a key, until it expires")
    expires_at: str | None
    bytes: int
    sha256: str


class ListedDataset(JobTimes):
    id: str
    name: str
    state: JobState
    stage: str | None
    progress: Progress
    images: int
    boxes: int
    error: Failure | None
    manifest_sha256: str | None
    urls: DatasetUrls


class DatasetsAnswer(BaseModel):
    datasets: list[ListedDataset]
    next_after: str | None


class DatasetAnswer(ListedDataset):
    notes: list[Note] = Field(description="The first 1,000; the manifest has all")
    notes_total: int
    notes_by_code: dict[str, int]
    download: Download | None


class DetectedLabel(Label):
    model: str = Field(description="name/version of the models that saw it, joined by +")


class DetectAnswer(BaseModel):
    id: str
    labels: list[DetectedLabel]
    label_set: str
    model: str
    width: int
    height: int


class EmbedAnswer(BaseModel):
    id: str
    embeddings: list[list[float]] = Field(description="L2-normalised, in the order asked")
    dimension: int
    space: str
    model: str


class LabelsAnswer(BaseModel):
    labels: list[LabelCount] = Field(description="Most images first")


class LabelRequestAnswer(BaseModel):
    class_: str = Field(alias="class", description="As it was understood")
    label_sets: list[str] = Field(description="That have the class already: nothing was counted then")
    requests: int = Field(description="So far, of all accounts")
    closest: list[str] = Field(description="Known classes that are spelled most like it")


class ImageCounts(BaseModel):
    total: int
    indexed: int
    pending: int
    failed: int


class IndexStatus(BaseModel):
    version: str
    rows: int
    space: str
    dimension: int


class EmbedderStatus(BaseModel):
    profile: str
    space: str
    image_model: str
    text_model: str


class DetectorStatus(BaseModel):
    model: str
    label_sets: list[str]


class StatusAnswer(BaseModel):
    images: ImageCounts
    index: IndexStatus
    outbox: int = Field(description="Events not yet published")
    embedder: EmbedderStatus | None
    detector: DetectorStatus | None
    parts: dict[str, Literal["up", "down"]]


class HealthAnswer(BaseModel):
    status: Literal["ok"]


class ReadyAnswer(HealthAnswer):
    parts: dict[str, Literal["up", "down"]]
