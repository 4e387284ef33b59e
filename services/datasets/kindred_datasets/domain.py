"""What the data set service speaks inside; made from protos in `convert`."""

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val"]


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled box: xyxyn corners of the upright image, score 0..1; `model` is name/version."""

    label_set: str
    class_name: str
    score: float
    box: tuple[float, float, float, float]
    source: str
    agreement: int
    model: str


@dataclass(frozen=True, slots=True)
class Rights:
    license: str
    license_url: str = ""
    creator: str = ""
    credit: str = ""
    source_url: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An image of a data set. Sides in px, EXIF orientation applied; `score`: cosine to what it was chosen for.

    `chosen_for` names the seed photo or query; `group` is shared by near copies, which one split holds together.
    """

    image_id: str
    width: int
    height: int
    format: str
    byte_size: int
    origin: str
    blob_key: str
    thumb_key: str
    file_name: str
    rights: Rights
    labels: tuple[Label, ...]
    score: float | None
    chosen_for: str
    group: int
    split: Split


@dataclass(frozen=True, slots=True)
class Note:
    """What was left out or went wrong: an image id or the name of a given photo, a stable code, the reason."""

    subject: str
    code: str
    detail: str
