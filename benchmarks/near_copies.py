"""Copies of a photo as people make them: saved again, cropped, flipped, brightened."""

import io
import random
from collections.abc import Callable

from PIL import Image, ImageOps

Copy = Callable[[Image.Image, random.Random], bytes]


def _saved(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _cropped(image: Image.Image, rng: random.Random) -> bytes:
    """70 % of each side, at a random place."""
    width, height = int(image.width * 0.7), int(image.height * 0.7)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return _saved(image.crop((left, top, left + width, top + height)))


KINDS: dict[str, Copy] = {
    "saved again (q20)": lambda image, rng: _saved(image, quality=20),
    "cropped to 70 %": _cropped,
    "flipped": lambda image, rng: _saved(ImageOps.mirror(image)),
    "brighter by half": lambda image, rng: _saved(image.point(lambda level: min(255, round(level * 1.5)))),
}
"""Name -> (photo, seeded generator) -> bytes of the copy."""
