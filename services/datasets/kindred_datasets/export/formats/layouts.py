"""Where each format's readers look for images and labels: files written picture by picture, and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kindred_datasets.domain import Item, Split
from kindred_datasets.export.files import Files
from kindred_datasets.export.formats import Form, Picture, coco, voc, yolo

SPLITS: tuple[Split, ...] = ("train", "val")
License = tuple[str, str]
"""Name (Openverse's) and URL; the URL may be empty."""


class Layout(Protocol):
    """One export. `image_path` is where a picture's file goes, in its split and under its name with suffix."""

    def image_path(self, split: Split, name: str) -> str: ...

    def add(self, item: Item, name: str, link: str) -> None:
        """Write what stands in a file of this picture alone. `link`: its URL, or empty. Raises OSError."""
        ...

    def finish(self) -> None:
        """Write what is known only now. Raises OSError."""
        ...


def layout(form: Form, files: Files, title: str, classes: Sequence[str], licenses: Sequence[License]) -> Layout:
    if form == "coco":
        return CocoLayout(files, title, classes, licenses)
    return YoloLayout(files, classes) if form == "yolo" else VocLayout(files, classes)


class CocoLayout:
    """images/{split}/, annotations/instances_{split}.json."""

    def __init__(self, files: Files, title: str, classes: Sequence[str], licenses: Sequence[License]) -> None:
        self._files = files
        self._title = title
        self._license_ids = {known: number for number, known in enumerate(licenses, 1)}
        self._splits = {
            split: coco.CocoFile(classes, files.spool(f"{split}-pictures"), files.spool(f"{split}-annotations"))
            for split in SPLITS
        }

    def image_path(self, split: Split, name: str) -> str:
        return f"images/{split}/{name}"

    def add(self, item: Item, name: str, link: str) -> None:
        rights = item.rights
        more: dict[str, Any] = {
            "license": self._license_ids[rights.license, rights.license_url],
            "kindred_id": item.image_id,
            "origin": item.origin,
        }
        told = {"coco_url": link, "creator": rights.creator, "source_url": rights.source_url}
        more.update({key: value for key, value in told.items() if value})
        self._splits[item.split].add(Picture(name, item.width, item.height, item.labels), more)

    def finish(self) -> None:
        licenses = [
            {"id": number, "name": name or "unknown", "url": url} for (name, url), number in self._license_ids.items()
        ]
        for split, document in self._splits.items():
            with self._files.open(f"annotations/instances_{split}.json") as file:
                document.write(file, {"title": self._title, "split": split}, licenses)


class YoloLayout:
    """data.yaml, images/{split}/, labels/{split}/, and scores/{split}/ beside what the readers know."""

    def __init__(self, files: Files, classes: Sequence[str]) -> None:
        self._files = files
        self._classes = classes
        self._class_ids = {name: number for number, name in enumerate(classes)}

    def image_path(self, split: Split, name: str) -> str:
        return f"images/{split}/{name}"

    def add(self, item: Item, name: str, link: str) -> None:
        picture = Picture(name, item.width, item.height, item.labels)
        stem = name.rpartition(".")[0]
        self._files.write(f"labels/{item.split}/{stem}.txt", yolo.label_lines(picture, self._class_ids).encode())
        self._files.write(f"scores/{item.split}/{stem}.txt", yolo.score_lines(picture).encode())

    def finish(self) -> None:
        paths: dict[str, str] = {split: f"images/{split}" for split in SPLITS}
        self._files.write("data.yaml", yolo.data_yaml(self._classes, paths).encode())


class VocLayout:
    """JPEGImages/, Annotations/, ImageSets/Main/{split}.txt; dataset_meta.json tells Datumaro and CVAT the classes."""

    def __init__(self, files: Files, classes: Sequence[str]) -> None:
        self._files = files
        self._classes = classes
        self._lists = {split: files.spool(f"{split}-list") for split in (*SPLITS, "trainval")}

    def image_path(self, split: Split, name: str) -> str:
        return f"JPEGImages/{name}"

    def add(self, item: Item, name: str, link: str) -> None:
        picture = Picture(f"JPEGImages/{name}", item.width, item.height, item.labels)
        stem = name.rpartition(".")[0]
        self._files.write(f"Annotations/{stem}.xml", voc.annotation(picture).encode())
        for key in (item.split, "trainval"):
            self._lists[key].write(f"{stem}\n".encode())

    def finish(self) -> None:
        for key, spool in self._lists.items():
            self._files.take(f"ImageSets/Main/{key}.txt", spool)
        self._files.write("dataset_meta.json", voc.dataset_meta(self._classes).encode())
