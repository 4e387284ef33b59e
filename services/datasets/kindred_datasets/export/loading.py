"""What of an item has to be read before it can be written."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from kindred_datasets.domain import Item, Note
from kindred_datasets.export.formats import Form
from kindred_datasets.export.images import ImageFile, readable
from kindred_datasets.export.preview import small
from kindred_kit.errors import BlobNotFound, ImageChanged, ImageError
from kindred_kit.ports.blobs import BlobStore


@dataclass(frozen=True)
class Loaded:
    """`image`: its file, where files are wanted; `thumb`: a small JPEG, if it is `sampled` and there is one.

    With a `note` the image can't be read and is left out.
    """

    item: Item
    sampled: bool = False
    image: ImageFile | None = None
    thumb: bytes | None = None
    note: Note | None = None


async def load(item: Item, blobs: BlobStore, form: Form | None, *, sampled: bool) -> Loaded:
    """`form`: of the export that the file is for; None where it holds links.

    What ails the image alone becomes a note. Raises Unavailable where the store is.
    """
    image = None
    if form is not None:
        try:
            data = await blobs.get(item.blob_key)
            image = await asyncio.to_thread(_checked, data, item.image_id, form)
        except BlobNotFound:
            return Loaded(item, note=Note(item.image_id, "image_missing", "its file is gone"))
        except ImageError as error:
            return Loaded(item, note=Note(item.image_id, error.code, error.detail))
    return Loaded(item, sampled, image, await _thumb(item, image, blobs) if sampled else None)


def _checked(data: bytes, image_id: str, form: Form) -> ImageFile:
    # labels are those of the bytes that the id names; a file that was edited since may show something else
    if hashlib.sha256(data).hexdigest() != image_id:
        raise ImageChanged("the file is not what was labelled: it was changed since")
    return readable(data, form)


async def _thumb(item: Item, image: ImageFile | None, blobs: BlobStore) -> bytes | None:
    try:
        if item.thumb_key:
            return await asyncio.to_thread(small, await blobs.get(item.thumb_key))
    except (BlobNotFound, ImageError):
        pass  # the image itself may do
    return None if image is None else await asyncio.to_thread(small, image.data)
