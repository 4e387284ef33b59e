"""Tables of data sets for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kindred_standalone.text import count_text, printable, size_text

STAGES = {
    "": "Waiting for its turn",
    "embed": "Embedding the photos given",
    "select": "Looking for candidates",
    "guard": "Looking for copies",
    "export": "Writing",
    "pack": "Storing",
}
_REASONS = {
    "near_copy_of_holdout": "near copies of the holdout",
    "near_copy_of_failure_photo": "near copies of the failure photos",
    "near_copy": "near copies of a better image",
    "filtered": "asked for, but the filter or the licence leaves them out",
    "image_not_found": "asked for, but not in the gallery",
}
_SHOWN_CLASSES, _SHOWN_NOTES = 20, 20


def summary_table(dataset: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> Table:
    """Images, boxes, classes, what was left out and why."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    split = ""
    if manifest is not None:
        counts = manifest["counts"]
        split = " (" + ", ".join(f"{counts[name]['images']:,} {name}" for name in counts) + ")"
    table.add_row("images", f"{dataset['images']:,}{split}")
    table.add_row("boxes", f"{dataset['boxes']:,}")
    for name, value in _classes(manifest) if manifest is not None else ():
        table.add_row("class", Text(printable(f"{name}: {value}")))
    for code, count in dataset["notes_by_code"].items():
        if code == "fewer_than_asked":
            continue
        table.add_row("left out", Text(f"{count:,} {_REASONS.get(code, f'that could not be read: {printable(code)}')}"))
    for note in dataset["notes"]:
        if note["code"] == "fewer_than_asked":
            table.add_row("note", Text(printable(note["detail"])))
    return table


def _classes(manifest: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    found = []
    for entry in manifest["classes"]:
        images = sum(entry[split]["images"] for split in manifest["counts"])
        boxes = sum(entry[split]["boxes"] for split in manifest["counts"])
        if boxes:
            found.append((boxes, entry["name"], images))
    found.sort(key=lambda item: (-item[0], item[1]))
    shown = [
        (name, f"{count_text(boxes, 'box', 'boxes')} in {count_text(images, 'image')}")
        for boxes, name, images in found[:_SHOWN_CLASSES]
    ]
    if len(found) > _SHOWN_CLASSES:
        shown.append(("…", f"{len(found) - _SHOWN_CLASSES} more classes"))
    return shown


def list_table(datasets: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("id", "name", "state", "images", "boxes", "made", "kept until")
    for dataset in datasets:
        state = dataset["state"]
        if state == "running":
            state = f"{dataset['stage'] or 'begun'} {dataset['progress']['done']:,}/{dataset['progress']['total']:,}"
        elif state == "failed":
            state = f"failed: {dataset['error']['code']}"
        table.add_row(
            dataset["id"],
            Text(printable(dataset["name"])),
            Text(printable(state)),
            f"{dataset['images']:,}",
            f"{dataset['boxes']:,}",
            _minute(dataset["created_at"]),
            _minute(dataset["expires_at"]),
        )
    return table


def detail_table(dataset: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    facts = [
        ("id", dataset["id"]),
        ("name", dataset["name"]),
        ("state", dataset["state"]),
        ("stage", f"{dataset['stage']} {dataset['progress']['done']:,}/{dataset['progress']['total']:,}"),
        ("images", f"{dataset['images']:,}"),
        ("boxes", f"{dataset['boxes']:,}"),
        ("made", _minute(dataset["created_at"])),
        ("kept until", _minute(dataset["expires_at"])),
        ("archive", size_text(dataset["download"]["bytes"]) if dataset["download"] else ""),
        ("sha256", dataset["download"]["sha256"] if dataset["download"] else ""),
        ("manifest sha256", dataset["manifest_sha256"] or ""),
        ("error", f"{dataset['error']['code']}: {dataset['error']['detail']}" if dataset["error"] else ""),
    ]
    for name, value in facts:
        if value:
            table.add_row(name, Text(printable(value)))
    for note in dataset["notes"][:_SHOWN_NOTES]:
        table.add_row("note", Text(printable(f"{note['code']} {note['subject']}: {note['detail']}")))
    if dataset["notes_total"] > _SHOWN_NOTES:
        table.add_row("", f"… and {dataset['notes_total'] - _SHOWN_NOTES:,} more; the manifest has all")
    return table


def _minute(iso: str | None) -> str:
    return iso[:16].replace("T", " ") if iso else ""
