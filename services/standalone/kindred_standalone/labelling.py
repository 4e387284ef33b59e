"""Label a folder without indexing it: a journal of what was seen, and an export made from it.

The journal in the output folder makes a run resumable: a photo whose size and time have not changed is not looked at
again, whatever stopped the run, and another format costs no second look.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kindred_detector.detection import DetectedImage, Detector
from kindred_detector.options import DetectOptions
from kindred_kit.cores import available_cores
from kindred_kit.errors import ImageError
from kindred_standalone.errors import UsageError
from kindred_standalone.label_formats import FoundLabel, LabelledImage, files
from kindred_standalone.summary import Problem
from kindred_standalone.text import printable_path

JOURNAL = ".kindred-labels.jsonl"
_NEW = ".kindred-new"
_FLUSH_EVERY = 20


@dataclass(frozen=True)
class Seen:
    """A line of the journal: what a file was when it was looked at, and what was found."""

    size: int
    mtime_ns: int
    image: LabelledImage


@dataclass
class Labelling:
    """How far a run is; read by the progress bar."""

    total: int = 0
    resumed: int = 0
    images: dict[str, Seen] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def boxes(self) -> int:
        return sum(len(seen.image.labels) for seen in self.images.values())


class Journal:
    """Append-only; the first line holds the options that all others were made with."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any]) -> None:
        """Raises UsageError for a folder with other files or one that was labelled in another way."""
        self._path = folder / JOURNAL
        self._fingerprint = json.loads(json.dumps(fingerprint))
        if self._path.exists():
            return
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{printable_path(folder)} holds other files; choose an empty or new folder with -o")
        folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"options": self._fingerprint}) + "\n", "utf-8")

    def read(self) -> dict[str, Seen]:
        """What was seen so far. A last line that a crash cut off is dropped."""
        seen: dict[str, Seen] = {}
        whole = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                try:
                    document = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    document = None
                if document is None:
                    break
                whole += len(line)
                if number == 0:
                    self._require_same(document)
                    continue
                seen[document["image"]["path"]] = _seen(document)
        if whole == 0:
            raise UsageError(f"{printable_path(self._path)} is damaged; choose another folder with -o")
        os.truncate(self._path, whole)
        return seen

    def append(self, batch: Sequence[Seen]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(seen)) + "\n" for seen in batch)

    def _require_same(self, first: Mapping[str, Any]) -> None:
        if first.get("options") != self._fingerprint:
            raise UsageError(
                f"{printable_path(self._path.parent)} was labelled with other options or models; "
                "choose another folder with -o"
            )


async def label_files(
    detector: Detector,
    options: DetectOptions,
    root: Path,
    paths: Sequence[bytes],
    journal: Journal,
    progress: Labelling,
    thresholds: Mapping[str, float] | None = None,
) -> None:
    """Look at each of `paths` that the journal does not hold as it is now. Raises UsageError, OSError of the journal.

    `thresholds`: lowest score by class; a class without one is left out.
    """
    known = await asyncio.to_thread(journal.read)
    waiting: list[Seen] = []

    async def look(path: bytes) -> None:
        name = _relative(path, root)
        try:
            info = await asyncio.to_thread(os.stat, path)
            before = known.get(name)
            if before is not None and (before.size, before.mtime_ns) == (info.st_size, info.st_mtime_ns):
                progress.images[name] = before
                progress.resumed += 1
                return
            data = await asyncio.to_thread(Path(os.fsdecode(path)).read_bytes)
            detected = await detector.detect(data, options)
        except OSError as error:
            progress.problems.append(Problem(path, "file_unreadable", (error.strerror or str(error)).lower()))
            return
        except ImageError as error:
            progress.problems.append(Problem(path, error.code, error.detail))
            return
        seen = Seen(info.st_size, info.st_mtime_ns, _labelled(name, detected, thresholds))
        progress.images[name] = seen
        waiting.append(seen)
        if len(waiting) >= _FLUSH_EVERY:
            write_waiting()

    def write_waiting() -> None:
        batch = waiting.copy()
        waiting.clear()
        journal.append(batch)

    async def work(rest: Iterator[bytes]) -> None:
        for path in rest:
            await look(path)

    todo = iter(paths)
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2 * available_cores()):
                tasks.create_task(work(todo))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        write_waiting()


def write_export(
    folder: Path, form: str, images: Sequence[LabelledImage], classes: Sequence[str], label_set: str
) -> None:
    """Write the export into `folder`: each of its files and folders appears whole or not at all. Raises OSError."""
    new = folder / _NEW
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        for name, content in files(form, images, classes, label_set):
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for entry in sorted(new.iterdir()):
            target = folder / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            entry.replace(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def fingerprint(detector: Detector, options: DetectOptions, thresholds: Mapping[str, float] | None) -> dict[str, Any]:
    """All that the labels of a file depend on. Raises InvalidArgument for unknown models."""
    options.check()
    models = options.chosen(detector.models, detector.default)
    options.class_ids(models[0], detector.models.values())
    return {
        **asdict(options),
        "classes": sorted(options.classes),
        "models": [f"{model.name}/{model.version}" for model in models],
        "thresholds": thresholds,
    }


def read_thresholds(path: Path) -> dict[str, float]:
    """Class -> lowest score, from `kindred labels calibrate`. Raises UsageError."""
    try:
        classes = json.loads(path.read_bytes())["classes"]
        found = {str(name): float(entry["threshold"]) for name, entry in classes.items()}
    except OSError as error:
        raise UsageError(f"{printable_path(path)} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{printable_path(path)} is no file of kindred labels calibrate") from None
    if not found or not all(0 <= value <= 1 for value in found.values()):
        raise UsageError(f"{printable_path(path)} holds no thresholds within 0..1")
    return found


def _labelled(name: str, detected: DetectedImage, thresholds: Mapping[str, float] | None) -> LabelledImage:
    classes = detected.models[0].classes
    labels = tuple(
        FoundLabel(
            class_id=found.box.class_id,
            score=found.box.score,
            box=(found.box.x_min, found.box.y_min, found.box.x_max, found.box.y_max),
            source=found.source,
            agreement=found.agreement,
            model="+".join(found.models),
        )
        for found in detected.boxes
        if thresholds is None or found.box.score >= thresholds.get(classes[found.box.class_id], 2.0)
    )
    return LabelledImage(name, detected.width, detected.height, labels)


def _relative(path: bytes, root: Path) -> str:
    return os.path.relpath(os.fsdecode(path), os.path.abspath(root))


def _seen(document: Mapping[str, Any]) -> Seen:
    image = document["image"]
    labels = tuple(FoundLabel(**{**label, "box": tuple(label["box"])}) for label in image["labels"])
    return Seen(document["size"], document["mtime_ns"], LabelledImage(**{**image, "labels": labels}))


def in_order(progress: Labelling) -> list[LabelledImage]:
    """By path: the same export, whichever photo was done first."""
    return [progress.images[name].image for name in sorted(progress.images)]
