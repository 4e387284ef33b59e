"""Items of a data set for tests, with their images in a store."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from PIL import Image, ImageOps

from kindred_datasets.domain import Item, Label, Rights, Split
from kindred_datasets.export.survey import Items
from support.fakes import MemoryBlobs

RIGHTS = Rights("by", "https://creativecommons.org/licenses/by/4.0/", "Ann", source_url="https://photos.example/1")


def a_label(
    name: str = "dog",
    box: tuple[float, float, float, float] = (0.1, 0.2, 0.5, 0.75),
    score: float = 0.87654,
    source: str = "single",
    agreement: int = 1,
) -> Label:
    return Label("animals", name, score, box, source, agreement, "lite/1")


class Shelf:
    """A store and the items whose images lie in it."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.items: list[Item] = []

    async def add(
        self,
        data: bytes,
        labels: Sequence[Label] = (),
        name: str = "",
        split: Split = "train",
        rights: Rights = RIGHTS,
        thumb: bytes = b"",
    ) -> Item:
        image = Image.open(io.BytesIO(data))
        width, height = ImageOps.exif_transpose(image).size
        image_id = hashlib.sha256(data).hexdigest()
        await self.blobs.put(image_id, data)
        if thumb:
            await self.blobs.put(f"thumb/{image_id}", thumb)
        item = Item(
            image_id=image_id,
            width=width,
            height=height,
            format=(image.format or "").lower().replace("heif", "heic"),
            byte_size=len(data),
            origin="photo",
            blob_key=image_id,
            thumb_key=f"thumb/{image_id}" if thumb else "",
            file_name=name,
            rights=rights,
            labels=tuple(labels),
            score=0.5,
            chosen_for="query",
            group=len(self.items),
            split=split,
        )
        self.items.append(item)
        return item

    def change(self, item: Item, **fields: object) -> None:
        self.items[self.items.index(item)] = replace(item, **fields)  # type: ignore[arg-type]

    @property
    def source(self) -> Items:
        return in_batches(self.items)


def in_batches(items: Sequence[Item], size: int = 7, before: Callable[[int], None] = lambda start: None) -> Items:
    async def begin() -> AsyncIterator[Sequence[Item]]:
        for start in range(0, len(items), size):
            before(start)
            yield items[start : start + size]

    return begin
