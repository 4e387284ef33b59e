"""Items of a data set -> COCO, YOLO or Pascal VOC, as a zip or a folder.

An export that was cut off leaves nothing and begins anew; the same items and facts give the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kindred_datasets.domain import Item, Note
from kindred_datasets.export.destination import Destination
from kindred_datasets.export.images import memory_bytes
from kindred_datasets.export.loading import load
from kindred_datasets.export.survey import Items, survey
from kindred_datasets.export.writing import ExportSpec, Writing
from kindred_kit.errors import Unavailable, storage_error
from kindred_kit.ports.blobs import BlobStore

__all__ = ["ExportSpec", "Exported", "Items", "export"]

# Read at once: enough to hide a store's latency, and little enough that large photos fit beside one another.
_WINDOW_IMAGES = 16
_WINDOW_BYTES = 200 * 10**6


@dataclass(frozen=True)
class Exported:
    """What was written. `notes`: images that can't be read and are not in it. `archive_sha256`: empty for a folder."""

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
    """Write the data set and publish it in one step; after an error or a cancellation nothing is left of it.

    `items` is called twice: for the classes, then for all else. `on_progress` is told how many items are done; what it
    raises ends the export.
    Image files come from `blobs` by their key; one that can't be read becomes a note. Raises DatasetEmpty when no
    image is left, StorageFull, Unavailable, InvalidArgument (a folder with other files).
    """
    # One thread writes: files follow one another, and what was cancelled is removed after the write that still runs.
    writer = ThreadPoolExecutor(1, thread_name_prefix="export")
    run = asyncio.get_running_loop().run_in_executor
    try:
        files_for = spec.form if spec.link_of is None else None
        known = await survey(items, spec.classes)
        await run(writer, destination.begin)
        writing = await run(writer, Writing, spec, known, destination)
        try:
            done = 0
            async for batch in items():
                for window in _windows(batch):
                    loads = (
                        load(item, blobs, files_for, sampled=writing.preview.wants(done + place))
                        for place, item in enumerate(window)
                    )
                    await run(writer, writing.add, await asyncio.gather(*loads))
                    done += len(window)
                    on_progress(done)
            manifest_sha256 = await run(writer, writing.finish)
        finally:
            await run(writer, writing.close)
        published = await destination.publish()
    except OSError as error:
        raise storage_error(error) or Unavailable(f"the data set can't be written: {error.strerror}") from error
    finally:
        writer.submit(destination.discard)  # after a publication nothing is left to remove
        await asyncio.to_thread(writer.shutdown)
    return Exported(
        images=writing.counts.images.total(),
        boxes=writing.counts.boxes.total(),
        notes=tuple(writing.notes),
        manifest_sha256=manifest_sha256,
        archive_bytes=published.byte_size,
        archive_sha256=published.sha256,
    )


def _windows(batch: Sequence[Item]) -> Iterator[list[Item]]:
    window: list[Item] = []
    held = 0
    for item in batch:
        cost = memory_bytes(item.byte_size, item.width, item.height)
        if window and (len(window) == _WINDOW_IMAGES or held + cost > _WINDOW_BYTES):
            yield window
            window, held = [], 0
        window.append(item)
        held += cost
    if window:
        yield window
