"""One seeded generator of photo variants: where a benchmark needs more photos than there are.

A variant is a crop of 80-100 % of each side, shifted in brightness by up to 8 %, saved again as JPEG of quality 70-95:
distinct bytes, distinct pixels, the same statistics as the real photos.
"""

import io
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageEnhance


def write_variants(photos: Sequence[Path], count: int, folder: Path, seed: int = 0) -> list[Path]:
    """Write `count` variants as JPEG files below `folder`; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    written = []
    for number in range(count):
        path = folder / f"variant-{seed}-{number:06d}.jpg"
        path.write_bytes(variant(photos[number % len(photos)], rng))
        written.append(path)
    return written


def variant(photo: Path, rng: random.Random) -> bytes:
    """One variant of a photo as JPEG bytes."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    width, height = (max(1, int(side * rng.uniform(0.8, 1.0))) for side in image.size)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    cut = image.crop((left, top, left + width, top + height))
    brightened = ImageEnhance.Brightness(cut).enhance(rng.uniform(0.92, 1.08))
    buffer = io.BytesIO()
    brightened.save(buffer, "JPEG", quality=rng.randint(70, 95))
    return buffer.getvalue()
