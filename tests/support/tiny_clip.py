"""CLIP in small, in model folders of its own: for tests of anything but numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.pulled_models import model_folder
from support.random_clip import TINY, ClipShape, write_random_clip


def tiny_clip(
    root: Path, *, shape: ClipShape = TINY, changes: Mapping[str, Any] | None = None
) -> tuple[Path, dict[str, Path]]:
    """(repository, model name -> publisher's file) with clip_image and clip_text; `changes` go over both manifests."""
    files = root / "files"
    files.mkdir(parents=True)
    image, text = write_random_clip(files, shape)
    size = shape.image_px
    common = {"dimension": shape.embedding, "outputs": embedding_output(shape.embedding), **(changes or {})}
    pixels = {
        "name": "image", "dtype": "uint8", "shape": ["n", size, size, 3], "width": size, "height": size,
        "fit": "center_crop",
    }  # fmt: skip
    repository = root / "models"
    model_folder(repository, "clip_image", image, changes={**common, "inputs": [pixels]})
    model_folder(repository, "clip_text", text, changes=common)
    return repository, {"clip_image": image, "clip_text": text}


def embedding_output(dimension: int) -> list[dict[str, Any]]:
    return [{"name": "embedding", "dtype": "float32", "shape": ["n", dimension], "normalised": True}]
