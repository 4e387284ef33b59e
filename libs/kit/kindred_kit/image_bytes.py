"""The bytes that an image id names."""

import asyncio
import hashlib

from kindred_kit.errors import BlobNotFound, ImageChanged, ImageMissing
from kindred_kit.ports.blobs import BlobStore


async def image_bytes(blobs: BlobStore, image_id: str, blob_key: str) -> bytes:
    """Raises ImageMissing, ImageChanged: a referenced file may have changed, a stored object may have rotted."""
    try:
        data = await blobs.get(blob_key)
    except BlobNotFound as error:
        raise ImageMissing(f"the image's bytes are gone: {error.detail}") from None
    if await asyncio.to_thread(_sha256, data) != image_id:
        raise ImageChanged("the file has changed since it was accepted; index it again")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
