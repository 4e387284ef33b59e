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
from kindred_kit.imaging.resize import resize_stretch
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

_MOST_CANDIDATES = 8
"""Compared with one image; the most alike ones first."""

_MOST_COMPARED = 100
"""In one page; what is left over stays in the list."""

_SIDE_PX, _SAME_PICTURE = 32, 0.95
"""Side of a signature, and the correlation from which on two are of the same picture."""

_THUMBNAIL = ImageLimits(max_pixels=4_000_000, max_bytes=4_000_000)

Signature = NDArray[np.uint8]


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
            open_ones = [
                (other, cosine) for other, cosine in copies.candidates.get(image_id, ()) if copies.undecided(other)
            ]
            found = [other for other, cosine in open_ones if await page.same(image_id, other, cosine)]
            copies.behind[image_id] = tuple(found)
            copies.hidden.update(found)


class _Page:
    """The comparisons of one page, and the pictures they need, each read once."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, owner: str) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._owner = owner
        self._signatures: dict[str, Signature | None] = {}
        self._compared = 0

    async def same(self, one: str, other: str, cosine: float) -> bool:
        if self._compared >= _MOST_COMPARED:
            FALLBACKS.labels("search", "copies_not_compared").inc()
            return False
        self._compared += 1
        first, second = await self._signature(one), await self._signature(other)
        if first is None or second is None:
            FALLBACKS.labels("search", "copies_without_thumbnail").inc()
            return cosine >= _SAME
        return await asyncio.to_thread(is_copy, first, second)

    async def _signature(self, image_id: str) -> Signature | None:
        if image_id not in self._signatures:
            self._signatures[image_id] = await self._read(image_id)
        return self._signatures[image_id]

    async def _read(self, image_id: str) -> Signature | None:
        keys = await self._catalogue.read(thumb_keys, self._owner, [image_id])
        if image_id not in keys:
            return None
        try:
            data = await self._blobs.get(keys[image_id])
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


def signature(pixels: NDArray[np.uint8]) -> Signature:
    """uint8 [h, w, 3] RGB -> uint8 [32, 32]: the picture in grey, stretched."""
    grey: Signature = resize_stretch(pixels, _SIDE_PX, _SIDE_PX).mean(axis=2).astype(np.uint8)
    return grey


def is_copy(one: Signature, other: Signature) -> bool:
    """Whether two signatures are of one picture, at another size, quality, brightness or mirrored."""
    first, second = (np.asarray(side, np.float32).ravel() for side in (one, other))
    mirrored = np.ascontiguousarray(other[:, ::-1]).astype(np.float32).ravel()
    return max(_correlation(first, second), _correlation(first, mirrored)) >= _SAME_PICTURE


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0
