"""Items of a data set -> COCO, YOLO or Pascal VOC, as a zip or a folder.

An export that was cut off leaves nothing and begins anew; the same items and facts give the same bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kindred_datasets.destination import Destination
from kindred_datasets.domain import Item, Note
from kindred_kit.ports.blobs import BlobStore

Form = Literal["coco", "yolo", "voc"]
Items = Callable[[], AsyncIterator[Sequence[Item]]]
"""Begins to read the items, in batches and always in the same order. It is called twice: for the classes, for the rest."""


@dataclass(frozen=True)
class ExportSpec:
    """What is to be written.

    `classes` come first, in this order and whether they occur or not; further classes of the items follow by name.
    `facts` (JSON values: query, models, thresholds ...) go into the manifest as they are; a resumed build gives the
    same. `notes` of the selection stand in the manifest before those of the export. `link_of` gives an image's URL:
    with it the data set holds links and no image files.
    """

    name: str
    form: Form
    classes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    link_of: Callable[[Item], str] | None = None


@dataclass(frozen=True)
class Exported:
    """What was written. `notes`: images that could not be read and are not in it. `sha256`: of the zip, or empty."""

    images: int
    boxes: int
    notes: tuple[Note, ...]
    manifest_sha256: str
    archive_bytes: int
    archive_sha256: str


async def export(
    spec: ExportSpec,
    items: Items,
    blobs: BlobStore,
    destination: Destination,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Exported:
    """Write the data set and publish it in one step; after any error or a cancellation nothing is left of it.

    `on_progress` is told how many items are done. An image that cannot be read becomes a note; image files come from
    `blobs` by their key. Raises StorageFull (the disk), Unavailable (the store), and DatasetEmpty when no image is
    left.
    """
    raise NotImplementedError
