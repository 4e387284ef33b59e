"""The arguments of `kindred dataset build` -> an order, and a name under which the same arguments are known again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2
from kindred_kit.clock import now_ms
from kindred_kit.label_precision import ask_precision
from kindred_standalone.connect import LOCAL
from kindred_standalone.datasets.boxes import boxes_of
from kindred_standalone.errors import UsageError
from kindred_standalone.references import file_key
from kindred_standalone.scan import scan
from kindred_standalone.text import printable, printable_path

if TYPE_CHECKING:
    from kindred_kit.imaging import ImageLimits
    from kindred_standalone.connect import Node

FORMATS = {"coco": pb.FORMAT_COCO, "yolo": pb.FORMAT_YOLO, "voc": pb.FORMAT_VOC}
MAX_FAILURES = 1_000
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Arguments:
    """What the user said. At most one of query, ids and failures; without any, what passes the filter."""

    query: str = ""
    ids: Path | None = None
    failures: Path | None = None
    boxes: Path | None = None
    holdout: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()
    size: int | None = None
    form: str = "coco"
    name: str = ""
    min_score: float | None = None
    diversity: float = 0.0
    balance: bool = False
    keep_duplicates: bool = False
    license_type: str = ""
    links: bool = False
    classes: tuple[str, ...] = ()
    label_score: float | None = None
    thresholds: dict[str, float] | None = None
    val_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Order:
    """`key` is the same for the same arguments on the same files; `asked_at_ms`: Unix time in milliseconds."""

    spec: pb.DatasetSpec
    key: str
    asked_at_ms: int


def order_of(arguments: Arguments, limits: ImageLimits) -> Order:
    """Read what the arguments name; the text of a query is not embedded yet. Raises UsageError, InvalidRegion."""
    asked_at_ms = now_ms()
    spec = pb.DatasetSpec(
        name=arguments.name,
        size=arguments.size or 0,
        min_score=arguments.min_score,
        diversity=arguments.diversity,
        balance_classes=arguments.balance,
        keep_duplicates=arguments.keep_duplicates,
        format=FORMATS[arguments.form],
        links=arguments.links,
        val_share=arguments.val_share,
        label_min_score=arguments.label_score,
        class_thresholds=arguments.thresholds or {},
        classes=arguments.classes or sorted(arguments.thresholds or ()),
        license_type=arguments.license_type,
        seed=arguments.seed,
        filter=search_pb2.Filter(
            labels_all=[search_pb2.LabelTerm(class_name=name) for name in arguments.labels],
            labels_none=[search_pb2.LabelTerm(class_name=name) for name in arguments.without_labels],
        ),
    )
    versions: list[tuple[str, int, int]] = []
    if arguments.ids is not None:
        spec.ids.image_ids.extend(_read_ids(arguments.ids))
    elif arguments.failures is not None:
        spec.failures.CopyFrom(_failures(arguments.failures, arguments.boxes, limits, versions))
    else:
        spec.query.text = arguments.query
    for folder in arguments.holdout:
        spec.holdout.extend(_given(folder, path, versions) for path in _photos(folder))
    said = json.dumps([hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest(), versions])
    return Order(spec, hashlib.sha256(said.encode()).hexdigest()[:40], asked_at_ms)


async def with_precision(order: Order, precision: float, node: Node) -> Order:
    """The same order for boxes so precise; another one once the calibration is another. Raises PrecisionUnavailable."""
    spec = pb.DatasetSpec()
    spec.CopyFrom(order.spec)
    await ask_precision(node.search, LOCAL, spec, precision)
    said = f"{order.key} {sorted(spec.class_thresholds.items())}"
    return replace(order, spec=spec, key=hashlib.sha256(said.encode()).hexdigest()[:40])


async def with_terms(node: Node, spec: pb.DatasetSpec) -> pb.DatasetSpec:
    """The same order with its text embedded."""
    if not spec.query.text:
        return spec
    answer = await node.embedder.EmbedText(embedder_pb2.EmbedTextRequest(texts=[spec.query.text]))
    embedded = pb.DatasetSpec()
    embedded.CopyFrom(spec)
    embedded.query.space = answer.space
    embedded.query.terms.add(embedding=answer.embeddings[0], weight=1)
    return embedded


def _read_ids(path: Path) -> list[str]:
    """One id a line; empty lines and those that begin with # do not count."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise UsageError(f"{printable_path(path)} can't be read: {(error.strerror or str(error)).lower()}") from None
    ids = []
    for number, line in enumerate(lines, 1):
        word = line.strip().lower()
        if not word or word.startswith("#"):
            continue
        if not _IMAGE_ID.fullmatch(word):
            raise UsageError(
                f"{printable_path(path)}, line {number}: no image id (64 hex digits): {printable(word[:80])}"
            )
        ids.append(word)
    if not ids:
        raise UsageError(f"there is no id in {printable_path(path)}")
    return list(dict.fromkeys(ids))


def _failures(
    folder: Path, boxes: Path | None, limits: ImageLimits, versions: list[tuple[str, int, int]]
) -> pb.FailureSet:
    photos = _photos(folder)
    if len(photos) > MAX_FAILURES:
        raise UsageError(
            f"a failure set has at most {MAX_FAILURES:,} photos; {printable_path(folder)} holds {len(photos):,}"
        )
    missed = boxes_of(boxes, folder, photos, limits) if boxes is not None else {}
    made = pb.FailureSet()
    for path in photos:
        made.photos.add(given=_given(folder, path, versions), missed=missed.get(path, ()))
    return made


def _photos(folder: Path) -> Sequence[bytes]:
    found = scan([folder])
    if not found.candidates:
        raise UsageError(f"there are no images in {printable_path(folder)}")
    return found.candidates


def _given(folder: Path, path: bytes, versions: list[tuple[str, int, int]]) -> pb.GivenImage:
    root = os.path.abspath(os.fsencode(folder))
    name = printable(os.fsdecode(os.path.relpath(path, root) if path != root else os.path.basename(path)))
    try:
        info = os.stat(path)
        versions.append((name, info.st_size, info.st_mtime_ns))
    except OSError:
        versions.append((name, 0, 0))  # the service says what is wrong with it
    return pb.GivenImage(blob_key=file_key(path), name=name)
