"""Real photographs that every machine with the demo requirements has, found without importing their packages."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

_SYSTEM_FOLDERS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))

# Chosen by eye: drawings, test patterns, silhouettes and blurred frames of the same folders are left out.
_PACKAGED = {
    "skimage": (
        "data/astronaut.png",
        "data/brick.png",
        "data/camera.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/coins.png",
        "data/grass.png",
        "data/gravel.png",
        "data/hubble_deep_field.jpg",
        "data/ihc.png",
        "data/moon.png",
        "data/motorcycle_left.png",
        "data/motorcycle_right.png",
        "data/page.png",
        "data/retina.jpg",
        "data/rocket.jpg",
        "data/text.png",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
}


def packaged_photos() -> list[Path]:
    """Photographs inside installed packages; what a version of a package does not carry is left out."""
    return [path for package, names in _PACKAGED.items() for path in _existing(package, names)]


def system_folders() -> list[Path]:
    """Folders of wallpapers, where the system has any."""
    return [folder for folder in _SYSTEM_FOLDERS if folder.is_dir()]


def _existing(package: str, names: tuple[str, ...]) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in names:
            path = Path(folder) / name
            if path.is_file():
                yield path
