"""An export as a whole: the same bytes for the same items, notes for what can't be read, and all or nothing."""

import asyncio
import csv
import errno
import hashlib
import io
import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from support.dataset_items import Shelf, a_label, in_batches
from support.fakes import MemoryBlobs
from support.own_reader import read_export
from support.photos import noise_jpeg

from kindred_datasets.domain import Item, Note
from kindred_datasets.export.destination import Destination, FolderDestination, Published, stored_zip, zip_file
from kindred_datasets.export.formats import FORMS, Form
from kindred_datasets.export.packing import Exported, ExportSpec, export
from kindred_kit.errors import BlobNotFound, DatasetEmpty, ImageMissing, InvalidArgument, StorageFull, Unavailable

IMAGES = 24


async def a_shelf(images: int = IMAGES) -> Shelf:
    shelf = Shelf()
    for number in range(images):
        labels = [a_label("cat" if number % 2 else "dog")] * (number % 3)
        split = "val" if number % 4 == 0 else "train"
        await shelf.add(noise_jpeg(number), labels, f"{number}.jpg", split, thumb=noise_jpeg(number, 40, 30))
    return shelf


async def into_zip(shelf: Shelf, path: Path, form: Form = "coco", spec: ExportSpec | None = None) -> Exported:
    return await export(spec or ExportSpec("Dogs", form), shelf.source, shelf.blobs, zip_file(path))


def manifest_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        return cast(dict[str, object], json.loads(archive.read("manifest.json")))


@pytest.mark.parametrize("form", FORMS)
async def test_the_same_items_give_the_same_bytes(tmp_path: Path, form: Form) -> None:
    first = await into_zip(await a_shelf(), tmp_path / "first.zip", form)
    again = await into_zip(await a_shelf(), tmp_path / "again.zip", form)
    assert first == again
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    folder = await export(
        ExportSpec("Dogs", form), (shelf := await a_shelf()).source, shelf.blobs, FolderDestination(tmp_path / "folder")
    )
    assert folder.manifest_sha256 == first.manifest_sha256
    shelf.change(shelf.items[4], labels=())
    other = await into_zip(shelf, tmp_path / "other.zip", form)
    assert other.manifest_sha256 != first.manifest_sha256


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("links", [False, True])
async def test_the_manifest_names_every_file_with_its_checksum(tmp_path: Path, form: Form, links: bool) -> None:
    link_of = (lambda item: f"https://kindred.example/v1/images/{item.image_id}/file") if links else None
    spec = ExportSpec("Dogs", form, ("dog", "bus"), {"query": "dog"}, [Note("x", "near_copy", "of y")], link_of)
    done = await into_zip(await a_shelf(), tmp_path / "d.zip", spec=spec)
    data = (tmp_path / "d.zip").read_bytes()
    assert (done.archive_bytes, done.archive_sha256) == (len(data), hashlib.sha256(data).hexdigest())
    with zipfile.ZipFile(tmp_path / "d.zip") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
        stored = {info.filename for info in archive.infolist() if info.compress_type == zipfile.ZIP_STORED}
    text = contents.pop("manifest.json")
    assert done.manifest_sha256 == hashlib.sha256(text).hexdigest()
    manifest = json.loads(text)
    assert {file["path"]: (file["bytes"], file["sha256"]) for file in manifest["files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()
    }
    assert stored == {name for name in contents if name.endswith(".jpg")}
    assert len(stored) == (0 if links else IMAGES)
    assert manifest["made_from"] == {"query": "dog"}
    assert manifest["notes"] == [{"subject": "x", "code": "near_copy", "detail": "of y"}]
    assert [entry["name"] for entry in manifest["classes"]] == ["dog", "bus", "cat"]
    assert sum(split["images"] for split in manifest["counts"].values()) == done.images == IMAGES
    assert sum(split["boxes"] for split in manifest["counts"].values()) == done.boxes == IMAGES
    assert {"README.txt", "attribution.csv", "preview.html"} < set(contents)


@pytest.mark.parametrize("form", FORMS)
async def test_links_stand_for_files(tmp_path: Path, form: Form) -> None:
    shelf = await a_shelf()
    shelf.blobs.objects = {key: value for key, value in shelf.blobs.objects.items() if key.startswith("thumb/")}
    spec = ExportSpec("Dogs", form, link_of=lambda item: f"https://kindred.example/{item.image_id}")
    await export(spec, shelf.source, shelf.blobs, FolderDestination(tmp_path / "d"))
    rows = list(csv.DictReader((tmp_path / "d" / "links.csv").open(encoding="utf-8", newline="")))
    assert [row["sha256"] for row in rows] == [item.image_id for item in shelf.items]
    assert [row["url"] for row in rows] == [f"https://kindred.example/{item.image_id}" for item in shelf.items]
    assert not list((tmp_path / "d").rglob("*.jpg"))
    if form == "coco":
        image = json.loads((tmp_path / "d/annotations/instances_val.json").read_bytes())["images"][0]
        assert image["coco_url"] == rows[0]["url"]
        assert rows[0]["path"] == f"images/val/{image['file_name']}"


async def test_the_readme_says_how_links_become_files(tmp_path: Path) -> None:
    shelf, store = await a_shelf(4), tmp_path / "store"
    store.mkdir()
    for item in shelf.items:
        (store / item.image_id).write_bytes(await shelf.blobs.get(item.blob_key))
    folder = tmp_path / "d"
    spec = ExportSpec("Dogs", "yolo", link_of=lambda item: (store / item.image_id).as_uri())
    await export(spec, shelf.source, shelf.blobs, FolderDestination(folder))
    _, snippet = (folder / "README.txt").read_text().split("asks for one:\n\n")
    snippet = textwrap.dedent(snippet.partition("\n\n")[0])
    subprocess.run([sys.executable, "-c", snippet], cwd=folder, check=True, timeout=60)
    found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("images/*/*.jpg")}
    assert found == {item.image_id for item in shelf.items}
    assert len(read_export("yolo", folder)["train"]) == 3


async def test_licences_are_listed_and_pointed_at(tmp_path: Path) -> None:
    shelf = await a_shelf(3)
    for item, license_name in zip(list(shelf.items), ("cc0", "by", ""), strict=True):
        shelf.change(item, rights=type(item.rights)(license_name), split="train")
    await export(ExportSpec("Dogs", "coco"), shelf.source, shelf.blobs, FolderDestination(tmp_path / "d"))
    document = json.loads((tmp_path / "d/annotations/instances_train.json").read_bytes())
    names = {entry["id"]: entry["name"] for entry in document["licenses"]}
    assert [names[image["license"]] for image in document["images"]] == ["cc0", "by", "unknown"]


async def test_what_can_not_be_read_becomes_a_note(tmp_path: Path) -> None:
    shelf = await a_shelf()
    gone, changed, broken, no_thumb = shelf.items[0], shelf.items[5], shelf.items[9], shelf.items[10]
    await shelf.blobs.delete(gone.blob_key)
    await shelf.blobs.put(changed.blob_key, noise_jpeg(99))
    torn = b"\xff\xd8\xff torn"
    await shelf.blobs.put("torn", torn)
    shelf.change(broken, image_id=hashlib.sha256(torn).hexdigest(), blob_key="torn")
    await shelf.blobs.delete(no_thumb.thumb_key)
    told: list[int] = []
    done = await export(
        ExportSpec("Dogs", "yolo"), shelf.source, shelf.blobs, FolderDestination(tmp_path / "d"), told.append
    )
    assert [(note.subject, note.code) for note in done.notes] == [
        (gone.image_id, "image_missing"),
        (changed.image_id, "image_changed"),
        (hashlib.sha256(torn).hexdigest(), "image_unsupported_format"),
    ]
    assert done.images == IMAGES - 3
    assert told[-1] == IMAGES
    assert told == sorted(told)
    pictures = read_export("yolo", tmp_path / "d")
    assert len(pictures["train"]) + len(pictures["val"]) == IMAGES - 3
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_bytes())
    assert [note["code"] for note in manifest["notes"]] == [note.code for note in done.notes]


async def test_a_data_set_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetEmpty, match="no image was chosen"):
        await into_zip(Shelf(), tmp_path / "d.zip")
    shelf = await a_shelf(2)
    shelf.blobs.objects.clear()
    with pytest.raises(DatasetEmpty, match="none of the 2 images can be read"):
        await into_zip(shelf, tmp_path / "d.zip")
    assert list(tmp_path.iterdir()) == []


class Full:
    """A destination on a disk that is full after some bytes."""

    def __init__(self, inner: Destination, room_bytes: int) -> None:
        self.scratch = inner.scratch
        self.begin, self.publish, self.discard = inner.begin, inner.publish, inner.discard
        self._inner, self.room = inner, room_bytes

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        with self._inner.open(path) as file:
            outer, real = self, file.write

            class Limited:
                def write(self, data: bytes) -> int:
                    outer.room -= len(data)
                    if outer.room < 0:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    return real(data)

            yield cast(BinaryIO, Limited())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.6, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("kind", ["folder", "zip", "store"])
async def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str, share: float) -> None:
    shelf = await a_shelf()
    whole = await export(ExportSpec("Dogs", "voc"), shelf.source, shelf.blobs, FolderDestination(tmp_path / "whole"))
    before = dict(shelf.blobs.objects)
    place = tmp_path / "place"
    place.mkdir()
    inner: Destination = {
        "folder": FolderDestination(place / "d"),
        "zip": zip_file(place / "d.zip"),
        "store": stored_zip(shelf.blobs, "archives/d", place / "staging"),
    }[kind]
    room = int(whole.archive_bytes * share)
    with pytest.raises(StorageFull):
        await export(ExportSpec("Dogs", "voc"), shelf.source, shelf.blobs, Full(inner, room))
    assert list(place.iterdir()) == []
    assert shelf.blobs.objects == before


class FullStore(MemoryBlobs):
    async def put_file(self, key: str, path: Path) -> None:
        raise StorageFull("the disk is full")


async def test_a_store_without_room_leaves_nothing(tmp_path: Path) -> None:
    shelf = await a_shelf()
    blobs = FullStore()
    blobs.objects = shelf.blobs.objects
    with pytest.raises(StorageFull):
        await export(ExportSpec("Dogs", "coco"), shelf.source, blobs, stored_zip(blobs, "k", tmp_path / "staging"))
    assert list(tmp_path.iterdir()) == []


class Away(MemoryBlobs):
    """Gone after some reads."""

    def __init__(self, shelf: Shelf, reads: int, error: Exception) -> None:
        super().__init__()
        self.objects, self.reads, self.error = shelf.blobs.objects, reads, error

    async def get(self, key: str) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise self.error
        return await super().get(key)


async def test_a_store_that_goes_away_fails_the_export(tmp_path: Path) -> None:
    shelf = await a_shelf()
    with pytest.raises(Unavailable):
        await export(
            ExportSpec("Dogs", "coco"), shelf.source, Away(shelf, 15, Unavailable("away")), zip_file(tmp_path / "d.zip")
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ImageMissing("not there"), BlobNotFound("no object")])
async def test_images_lost_on_the_way_do_not(tmp_path: Path, error: Exception) -> None:
    shelf = await a_shelf()
    done = await export(
        ExportSpec("Dogs", "coco"), shelf.source, Away(shelf, 15, error), FolderDestination(tmp_path / "d")
    )
    assert 0 < done.images < IMAGES
    assert done.images + len(done.notes) == IMAGES
    assert {note.code for note in done.notes} == {"image_missing"}


async def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    shelf, reached = await a_shelf(), asyncio.Event()
    calls = 0

    def source() -> object:
        nonlocal calls
        calls += 1
        return in_batches(shelf.items)() if calls == 1 else stuck()

    async def stuck() -> object:
        yield shelf.items[:7]
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(
        export(ExportSpec("Dogs", "coco"), source, shelf.blobs, zip_file(tmp_path / "d.zip"))  # type: ignore[arg-type]
    )
    await reached.wait()
    assert list(tmp_path.iterdir()) != []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    whole = await into_zip(await a_shelf(), tmp_path / "whole.zip")
    killed = zip_file(tmp_path / "d.zip")
    killed.begin()
    with killed.open("README.txt") as file:
        file.write(b"half")
    (killed.scratch / "train-pictures").write_bytes(b"half")
    done = await into_zip(await a_shelf(), tmp_path / "d.zip")
    assert done.manifest_sha256 == whole.manifest_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.zip", "whole.zip"]


async def test_a_folder_with_other_files_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("mine")
    shelf = await a_shelf(2)
    with pytest.raises(InvalidArgument, match="other files"):
        await export(ExportSpec("Dogs", "coco"), shelf.source, shelf.blobs, FolderDestination(tmp_path / "d"))
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "mine.txt"]


async def test_a_zip_in_the_store(tmp_path: Path) -> None:
    shelf = await a_shelf()
    done = await export(
        ExportSpec("Dogs", "coco"), shelf.source, shelf.blobs, stored_zip(shelf.blobs, "data/d.zip", tmp_path / "s")
    )
    data = await shelf.blobs.get("data/d.zip")
    assert Published(len(data), hashlib.sha256(data).hexdigest()) == Published(done.archive_bytes, done.archive_sha256)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert list(tmp_path.iterdir()) == []


async def test_items_are_read_in_windows_of_bounded_size(tmp_path: Path) -> None:
    shelf = await a_shelf()
    held = most = 0

    class Counting(MemoryBlobs):
        async def get(self, key: str) -> bytes:
            nonlocal held, most
            held += not key.startswith("thumb/")
            most = max(most, held)
            await asyncio.sleep(0)
            return await super().get(key)

    blobs = Counting()
    blobs.objects = shelf.blobs.objects

    def written(done: int) -> None:
        nonlocal held
        held = 0

    def large(item: Item) -> Item:
        return type(item)(**{name: getattr(item, name) for name in item.__slots__} | {"width": 6000, "height": 4000})

    await export(ExportSpec("a", "coco"), shelf.source, blobs, zip_file(tmp_path / "a.zip"), written)
    assert most <= 16
    most = 0
    photos = in_batches([large(item) for item in shelf.items], size=IMAGES)
    await export(ExportSpec("b", "coco"), photos, blobs, zip_file(tmp_path / "b.zip"), written)
    assert most == 2  # 72 MB of pixels each
