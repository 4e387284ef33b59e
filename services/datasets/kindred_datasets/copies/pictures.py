"""Gallery images and given photos side by side: small pictures of them, read as they are needed, and compared."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kindred_datasets.gallery import Gallery
from kindred_datasets.jobs import Progress
from kindred_kit.errors import BlobNotFound, ImageError
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.imaging.copies import Copy, compare, signature
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import FALLBACKS

_HELD = 10_000  # signatures: 70 MB
_BLOCK = 256  # pairs whose pictures are read together
_CHUNK = 16  # pairs compared before a thread is given back
_SIDE_PX = 96  # that signatures have; a large given photo need not be decoded to its full size


@dataclass(frozen=True, slots=True)
class Subject:
    """A gallery image by its id, or a given photo by its key; `name` is how people know it."""

    name: str
    image_id: str = ""
    blob_key: str = ""


Both = tuple[Subject, Subject]


class Pictures:
    """Knows what it has compared: asking again costs nothing."""

    def __init__(self, gallery: Gallery, blobs: BlobStore, limits: ImageLimits, concurrency: int) -> None:
        self._gallery = gallery
        self._blobs = blobs
        self._limits = limits
        self._room = asyncio.Semaphore(concurrency)
        self._signatures: dict[Subject, bytes | None] = {}
        self._known: dict[Both, Copy | None] = {}

    async def copies(self, pairs: Sequence[Both], progress: Progress) -> dict[Both, Copy]:
        """Those pairs whose second is a copy of the first. A picture that can't be read is a copy of nothing."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        progress.done += len(pairs) - len(new)
        for start in range(0, len(new), _BLOCK):
            block = new[start : start + _BLOCK]
            await self._read({subject for pair in block for subject in pair})
            chunks = [block[first : first + _CHUNK] for first in range(0, len(block), _CHUNK)]
            await asyncio.gather(*(self._compare(chunk, progress) for chunk in chunks))
        return {pair: copy for pair in pairs if (copy := self._known[pair]) is not None}

    async def _compare(self, pairs: Sequence[Both], progress: Progress) -> None:
        async with self._room:
            found = await asyncio.to_thread(lambda: [self._compared(*pair) for pair in pairs])
        self._known.update(zip(pairs, found, strict=True))
        progress.done += len(pairs)

    def _compared(self, one: Subject, other: Subject) -> Copy | None:
        first, second = self._signatures[one], self._signatures[other]
        return compare(first, second) if first and second else None

    async def _read(self, subjects: Iterable[Subject]) -> None:
        wanted = set(subjects)
        new = sorted(wanted - self._signatures.keys(), key=lambda subject: (subject.image_id, subject.blob_key))
        for held in [subject for subject in self._signatures if subject not in wanted]:
            if len(self._signatures) + len(new) <= _HELD:
                break
            del self._signatures[held]  # the one that was read first
        ids = [subject.image_id for subject in new if subject.image_id]
        keys = {
            # an image without a thumbnail can be looked at all the same
            record.image_id: record.thumb_key or record.blob_key
            async for record in self._gallery.records(ids)
        }
        read = await asyncio.gather(
            *(self._signature(subject.blob_key or keys.get(subject.image_id, "")) for subject in new)
        )
        self._signatures.update(zip(new, read, strict=True))

    async def _signature(self, key: str) -> bytes | None:
        async with self._room:
            try:
                if not key:
                    raise BlobNotFound("the image is gone from the gallery")
                data = await self._blobs.get(key)
                return await asyncio.to_thread(lambda: signature(decode(data, self._limits, min_side_px=_SIDE_PX)))
            except (BlobNotFound, ImageError):
                FALLBACKS.labels("datasets", "picture_not_compared").inc()
                return None
