"""Near copies in a ranked list: embeddings propose them, the pictures themselves decide.

What looks alike to a model need not be a copy: two photos of one scene have a cosine above .9 too. So two thumbnails
are compared before an image is put behind another one.
"""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import KindredError
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.imaging.copies import compare, signature
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import FALLBACKS
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.catalogue.vectors import stored_vectors, thumb_keys
from kindred_search.cursors import Copies
from kindred_search.domain import WHOLE

_ALIKE = 0.8
"""Cosine from which on two images are compared. Of 80 photos saved at quality 20, flipped, halved or brightened all but
one had more, of those cropped to 64 % of their area 97 %, to 49 % 85 %; a photo has .9 others above it in 3,058."""

_SAME = 0.98
"""Cosine from which on two images are copies where a thumbnail cannot be read."""

_MOST_CANDIDATES = 32
"""Compared with one image; the most alike ones first."""

_MOST_COMPARED = 100
"""In one page: a second of work on two cores; what is left over stays in the list."""

_THUMBNAIL = ImageLimits(max_pixels=4_000_000, max_bytes=4_000_000)


class Collapser:
    def __init__(self, catalogue: Catalogue, blobs: BlobStore) -> None:
        self._catalogue = catalogue
        self._blobs = blobs

    async def candidates(self, owner: str, image_ids: Sequence[str], space: str) -> Copies:
        """Which images of a list look alike."""
        ids, vectors = await self._catalogue.read(stored_vectors, owner, image_ids, WHOLE, space)
        pairs = await asyncio.to_thread(_alike, vectors) if ids else {}
        return Copies(
            {ids[one]: tuple((ids[other], cosine) for other, cosine in found) for one, found in pairs.items()}
        )

    async def collapse(self, owner: str, copies: Copies, image_ids: Sequence[str]) -> None:
        """Put behind each of these images, in order, its copies further down in the list."""
        page = _Page(self._catalogue, self._blobs, owner)
        for image_id in image_ids:
            if not copies.undecided(image_id):
                continue
            alike = [found for found in copies.candidates.get(image_id, ()) if copies.undecided(found[0])]
            behind = await page.copies_among(image_id, alike) if alike else []
            copies.behind[image_id] = tuple(behind)
            copies.hidden.update(behind)


class _Page:
    """The comparisons of one page, and the pictures they need, each read once."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, owner: str) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._owner = owner
        self._signatures: dict[str, bytes | None] = {}
        self._compared = 0

    async def copies_among(self, image_id: str, alike: Sequence[tuple[str, float]]) -> list[str]:
        """Those of `alike` (ids with their cosines, at most 499) that are copies of the image."""
        taken = alike[: _MOST_COMPARED - self._compared]
        self._compared += len(taken)
        if len(taken) < len(alike):
            FALLBACKS.labels("search", "copies_not_compared").inc()
        await self._load([image_id, *(other for other, _ in taken)])
        found = await asyncio.gather(*(self._same(image_id, other, cosine) for other, cosine in taken))
        return [other for (other, _), same in zip(taken, found, strict=True) if same]

    async def _same(self, one: str, other: str, cosine: float) -> bool:
        first, second = self._signatures[one], self._signatures[other]
        if first is None or second is None:
            FALLBACKS.labels("search", "copies_without_thumbnail").inc()
            return cosine >= _SAME
        return await asyncio.to_thread(compare, first, second) is not None

    async def _load(self, image_ids: Sequence[str]) -> None:
        new = [image_id for image_id in image_ids if image_id not in self._signatures]
        keys = await self._catalogue.read(thumb_keys, self._owner, new)
        read = await asyncio.gather(*(self._signature(keys.get(image_id)) for image_id in new))
        self._signatures.update(zip(new, read, strict=True))

    async def _signature(self, thumb_key: str | None) -> bytes | None:
        if thumb_key is None:
            return None
        try:
            data = await self._blobs.get(thumb_key)
            return await asyncio.to_thread(lambda: signature(decode(data, _THUMBNAIL)))
        except KindredError:
            return None


def _alike(vectors: NDArray[np.float16]) -> dict[int, list[tuple[int, float]]]:
    """Row -> the later rows that look alike and their cosines, the most alike first."""
    rows = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    cosines = np.triu(rows @ rows.T, k=1)
    found: dict[int, list[tuple[int, float]]] = {}
    for one in np.flatnonzero((cosines >= _ALIKE).any(axis=1)):
        others = np.flatnonzero(cosines[one] >= _ALIKE)
        best = others[np.argsort(-cosines[one, others], kind="stable")][:_MOST_CANDIDATES]
        found[int(one)] = [(int(other), float(cosines[one, other])) for other in best]
    return found
