"""The door: an image is read to its last byte before anything is stored."""

import hashlib
from dataclasses import dataclass

from kindred_gateway.parts import Parts
from kindred_kit.errors import KindredError
from kindred_kit.imaging import ImageInfo, ImageLimits, decode, probe

# A JPEG is checked at 1/8 of its size: its entropy coding is still read to the end, at a fraction of the memory.
_CHECK_SIDE_PX = 32


@dataclass(frozen=True)
class CheckedImage:
    """Bytes that decode, their SHA-256 in hex, and what their header says."""

    data: bytes
    image_id: str
    info: ImageInfo


async def checked_image(parts: Parts, data: bytes, pointer: str) -> CheckedImage:
    """Probe, decode and hash in the pool. Raises ImageError subclasses with `pointer`. Call it inside `slot()`."""
    try:
        return await parts.pool.run(_check, data, parts.settings.image_limits)
    except KindredError as error:
        error.pointer = error.pointer or pointer
        raise


def _check(data: bytes, limits: ImageLimits) -> CheckedImage:
    info = probe(data, limits)
    decode(data, limits, min_side_px=_CHECK_SIDE_PX)
    return CheckedImage(data, hashlib.sha256(data).hexdigest(), info)
