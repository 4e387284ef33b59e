"""Exports are loaded, unmodified, by the libraries that people train with (requirements/readers.in)."""

import asyncio
import io
import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import foreign_readers
from support.dataset_items import Shelf, a_label
from support.own_reader import Pictures, Read, read_export
from support.paths import ROOT
from support.photos import encoded, noise_jpeg

from kindred_datasets.domain import Item, Label
from kindred_datasets.export.destination import FolderDestination
from kindred_datasets.export.formats import FORMS
from kindred_datasets.export.packing import ExportSpec, export

PYTHON = ROOT / ".venv-readers" / "bin" / "python"
CLASSES = ("dog", "fire hydrant", "vio\"lin, 'the' <&> one", "a:b # c", "Gänse 😀", "no", "7")
NAMES = (
    "IMG 0001.jpg", "img_0001.JPG", "IMG\n0001.jpg", "caf\udce9.jpg", "../../etc/passwd", "C:\\x\\nul.png", "日本.webp",
    "=cmd|'/c calc'!A1.jpg", "", "-", "." * 300, "x" * 300 + ".jpg",
)  # fmt: skip
HALF_A_PIXEL = 0.5


def odd_labels(rng: random.Random, width: int, height: int) -> list[Label]:
    """Boxes of a pixel and less, along every border, and of any place."""
    w, h = 1 / width, 1 / height
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, w, h), (1 - w, 1 - h, 1.0, 1.0), (0.5, 0.5, 0.5 + w / 9, 0.5 + h / 9)]
    for _ in range(6):
        (x_min, x_max), (y_min, y_max) = (sorted((rng.random(), rng.random())) for _ in range(2))
        boxes.append((x_min, y_min, x_max, y_max))
    return [
        a_label(rng.choice(CLASSES), box, rng.random(), rng.choice(["single", "tta", "wbf"]), rng.randint(1, 4))
        for box in boxes
    ]


async def odd_shelf(*, val: bool) -> Shelf:
    rng, shelf = random.Random(3), Shelf()
    turned = Image.Exif()
    turned[0x0112] = 6
    for number, name in enumerate(NAMES):
        width, height = rng.randint(1, 700), rng.randint(1, 500)
        photo = Image.open(io.BytesIO(noise_jpeg(number, width, height)))
        data = [
            encoded(photo, "JPEG"),
            encoded(photo, "PNG"),
            encoded(photo, "WEBP"),
            encoded(photo, "JPEG", exif=turned.tobytes()),
        ][number % 4]
        sides = (height, width) if number % 4 == 3 else (width, height)
        labels = [] if number % 5 == 4 else odd_labels(rng, *sides)
        await shelf.add(data, labels, name, split="val" if val and number % 3 == 0 else "train")
    return shelf


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Path]:
    """A folder for each format, with and without images for validation."""
    root = tmp_path_factory.mktemp("exports")

    async def make() -> dict[tuple[str, bool], Path]:
        made = {}
        for val in (True, False):
            shelf = await odd_shelf(val=val)
            for form in FORMS:
                folder = made[form, val] = root / f"{form}-{val}"
                done = await export(
                    ExportSpec("odd", form, CLASSES), shelf.source, shelf.blobs, FolderDestination(folder)
                )
                assert (done.images, done.notes) == (len(NAMES), ())
        return made

    return asyncio.run(make())


def in_pixels(label: Label, item: Item) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = label.box
    return x_min * item.width, y_min * item.height, x_max * item.width, y_max * item.height


def told(label: Label) -> tuple[str, int, str, str]:
    return label.source, label.agreement, label.model, label.label_set


@pytest.fixture(scope="module")
def truth(exports: dict[tuple[str, bool], Path]) -> dict[bool, Pictures]:
    """Classes, scores and true corners in px by the names of the export, from the items and not from any file."""

    async def make(val: bool) -> Pictures:
        shelf = await odd_shelf(val=val)
        files = json.loads((exports["voc", val] / "manifest.json").read_bytes())["files"]
        stems = {file["image_id"]: Path(file["path"]).stem for file in files if "image_id" in file}
        pictures: Pictures = {"train": {}, "val": {}}
        for item in shelf.items:
            pictures[item.split][stems[item.image_id]] = [
                Read(label.class_name, in_pixels(label, item), round(label.score, 4), *told(label))
                for label in item.labels
            ]
        return pictures

    return {val: asyncio.run(make(val)) for val in (True, False)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("val", [True, False])
def test_our_own_reader_finds_everything(
    exports: dict[tuple[str, bool], Path], truth: dict[bool, Pictures], form: str, val: bool
) -> None:
    read = read_export(form, exports[form, val])
    assert {split: set(names) for split, names in read.items()} == {s: set(names) for s, names in truth[val].items()}
    for split, pictures in truth[val].items():
        for stem, boxes in pictures.items():
            for expected, found in zip(boxes, read[split][stem], strict=True):
                assert found.box == pytest.approx(expected.box, abs=HALF_A_PIXEL)
                assert found._replace(box=expected.box) == expected


@pytest.mark.parametrize("library", foreign_readers.READERS)
def test_a_library_loads_it(exports: dict[tuple[str, bool], Path], truth: dict[bool, Pictures], library: str) -> None:
    if not PYTHON.exists():
        pytest.skip("no .venv-readers: make .venv-readers/.made")
    wanted = [(form, val) for form, val in exports if library != "pycocotools" or form == "coco"]
    arguments = [str(part) for form, val in wanted for part in (form, exports[form, val])]
    done = subprocess.run(
        [PYTHON, foreign_readers.__file__, library, *arguments], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == len(wanted)
    for (form, val), seen in zip(wanted, answers, strict=True):
        with_scores = library == "pycocotools" or (library == "datumaro" and form != "yolo")
        check_seen(seen, truth[val], exports[form, val], with_scores=with_scores)


def check_seen(seen: dict[str, Any], truth: Pictures, folder: Path, *, with_scores: bool) -> None:
    expected = truth if set(seen) & {"train", "val"} else {"": truth["train"] | truth["val"]}
    assert {split: set(seen.get(split, ())) for split in expected} == {s: set(names) for s, names in expected.items()}
    for split, pictures in expected.items():
        for stem, boxes in pictures.items():
            sides, found = seen[split][stem]
            (image,) = (path for path in folder.rglob(f"{stem}.*") if path.suffix in {".jpg", ".png"})
            assert tuple(sides) == Image.open(image).size
            assert len(found) == len(boxes)
            for box in boxes:  # Datumaro does not keep the order
                match = next((one for one in found if one[0] == box.class_name and close(one[1], box.box)), None)
                assert match is not None, (folder.name, stem, box)
                found.remove(match)
                assert match[2] == (pytest.approx(box.score, abs=1e-4) if with_scores else None)


def close(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(abs(one - other) <= HALF_A_PIXEL for one, other in zip(first, second, strict=True))
