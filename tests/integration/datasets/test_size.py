"""Large exports: memory that does not grow with them, and a disk that really is full."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dataset_items import Shelf, a_label
from support.paths import ROOT
from support.photos import noise_jpeg

from kindred_datasets.export.destination import FolderDestination, stored_zip
from kindred_datasets.export.packing import ExportSpec, export
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.errors import StorageFull

LONG = bool(os.environ.get("KINDRED_LONG"))
IMAGES, IMAGE_BYTES = (20_000, 250_000) if LONG else (3_000, 100_000)
# what an export may take beside the interpreter and its libraries
ALLOWED_BYTES = 400_000_000 if LONG else 150_000_000


@pytest.mark.timeout(1300)
@pytest.mark.parametrize("form", ["coco", "yolo"])
def test_memory_does_not_grow_with_the_images(tmp_path: Path, form: str) -> None:
    script = ROOT / "tests" / "support" / "large_export.py"
    done = subprocess.run(
        [sys.executable, script, form, str(IMAGES), str(IMAGE_BYTES), tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    images, archive_bytes, before, peak = (int(word) for word in done.stdout.split())
    assert images == IMAGES
    assert archive_bytes > IMAGES * IMAGE_BYTES
    assert peak - before < ALLOWED_BYTES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kind", ["folder", "store"])
async def test_a_disk_that_is_full_holds_nothing_half(small_disk: Path, tmp_path: Path, kind: str) -> None:
    shelf = Shelf()
    for number in range(200):
        await shelf.add(noise_jpeg(number) + bytes(60_000), [a_label()])
    store = ObjectBlobStore.local(small_disk / "blobs")
    await store.put("mine", b"kept")
    destination = (
        FolderDestination(small_disk / "d") if kind == "folder" else stored_zip(store, "d.zip", small_disk / "staging")
    )
    with pytest.raises(StorageFull):
        await export(ExportSpec("Dogs", "coco"), shelf.source, shelf.blobs, destination)
    files = [path.relative_to(small_disk).as_posix() for path in small_disk.rglob("*") if path.is_file()]
    assert files == ["blobs/mine"]
    # a smaller one fits, so that nothing keeps its room either
    shelf.items = shelf.items[:50]
    done = await export(ExportSpec("Dogs", "coco"), shelf.source, shelf.blobs, destination)
    assert done.images == 50
