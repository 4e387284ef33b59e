"""Photographs for tests: one real photo that ships in scikit-image, and small synthetic ones."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def skimage_photo(name: str) -> bytes:
    """Bytes of a photo inside scikit-image (astronaut.png, coffee.png, …); skips where it is not installed."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image, which carries the photo, is not installed")
    return (Path(spec.origin).parent / "data" / name).read_bytes()


def noise_jpeg(seed: int, width: int = 160, height: int = 120) -> bytes:
    """A small JPEG of smooth seeded noise; distinct bytes for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return encoded(coarse.resize((width, height), Image.Resampling.BICUBIC), "JPEG")


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
