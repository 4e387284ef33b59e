"""Exports many images made up on the way: `python large_export.py FORM IMAGES IMAGE_BYTES FOLDER`.

Prints images, bytes of the archive, and resident memory in bytes before the export and at its peak.
"""

import asyncio
import hashlib
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from kindred_datasets.domain import Item, Label, Rights
from kindred_datasets.export.destination import zip_file
from kindred_datasets.export.formats import FORMS
from kindred_datasets.export.packing import ExportSpec, export
from support.fakes import MemoryBlobs
from support.photos import noise_jpeg

BATCH = 500
PHOTO = noise_jpeg(1, 640, 480)


class Endless(MemoryBlobs):
    """A photo for every number: readers of JPEG stop at its end, before the bytes that make each its own."""

    def __init__(self, image_bytes: int) -> None:
        super().__init__()
        self._filling = bytes(range(256)) * (image_bytes // 256)

    async def get(self, key: str) -> bytes:
        return PHOTO + key.encode() + self._filling


async def main(form: str, images: int, image_bytes: int, folder: Path) -> None:
    blobs = Endless(image_bytes)

    async def item(number: int) -> Item:
        key = f"{number:08}"
        data = await blobs.get(key)
        labels = tuple(
            Label("coco-80", f"class {(number + n) % 80}", 0.5 + n / 100, (0.1, 0.1, 0.5, 0.9), "single", 1, "lite/1")
            for n in range(5)
        )
        return Item(
            image_id=hashlib.sha256(data).hexdigest(), width=640, height=480, format="jpeg", byte_size=len(data),
            origin="photo", blob_key=key, thumb_key="", file_name=f"IMG_{number % 1000}.jpg",
            rights=Rights("by", creator=f"Creator {number}"), labels=labels, score=0.5, chosen_for="query",
            group=number, split="val" if number % 5 == 0 else "train",
        )  # fmt: skip

    async def items() -> AsyncIterator[Sequence[Item]]:
        for start in range(0, images, BATCH):
            yield [await item(number) for number in range(start, min(start + BATCH, images))]

    before = resident()
    [known] = [name for name in FORMS if name == form]
    archive = folder / "large.zip"
    done = await export(ExportSpec("large", known), items, blobs, zip_file(archive))
    archive.unlink()
    print(done.images, done.archive_bytes, before, resident())


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    form, images, image_bytes, folder = sys.argv[1:]
    asyncio.run(main(form, int(images), int(image_bytes), Path(folder)))
