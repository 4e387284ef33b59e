"""Data sets as the HTTP API answers them; pure."""

from typing import Any

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_gateway.presentation import Json, iso_time, without_paths

_STATES = {
    pb.DATASET_STATE_QUEUED: "queued",
    pb.DATASET_STATE_RUNNING: "running",
    pb.DATASET_STATE_DONE: "done",
    pb.DATASET_STATE_FAILED: "failed",
}
_LEFT_OUT = {"near_copy", "near_copy_of_holdout", "near_copy_of_failure_photo", "filtered", "fewer_than_asked"}
"""Notes on what was left out on purpose; all others are errors of single images."""


def dataset_json(dataset: pb.Dataset, public_url: str, download: Json | None = None) -> Json:
    return {
        "id": dataset.dataset_id,
        "name": dataset.name,
        "state": _STATES.get(dataset.state, "unknown"),
        "stage": dataset.stage or None,
        "progress": {"done": dataset.done, "total": dataset.total, "failed": dataset.failed},
        "images": dataset.images,
        "boxes": dataset.boxes,
        **times_json(dataset),
        "error": error_json(dataset),
        "notes": [note_json(note) for note in dataset.notes],
        "notes_total": dataset.notes_total,
        "notes_by_code": dict(sorted(dataset.notes_by_code.items())),
        "manifest_sha256": dataset.manifest_sha256 or None,
        "download": download,
        "urls": dataset_urls(dataset.dataset_id, public_url),
    }


def listed_json(dataset: pb.Dataset, public_url: str) -> Json:
    """Without what only one data set's own page shows."""
    left_out = {"notes", "notes_total", "notes_by_code", "download"}
    return {name: value for name, value in dataset_json(dataset, public_url).items() if name not in left_out}


def job_json(dataset: pb.Dataset, public_url: str) -> Json:
    return {
        "id": dataset.dataset_id,
        "kind": "dataset",
        "state": _STATES.get(dataset.state, "unknown"),
        "stage": dataset.stage or None,
        "done": dataset.done,
        "total": dataset.total,
        "failed": dataset.failed,
        "errors": [note_json(note) for note in dataset.notes if note.code not in _LEFT_OUT],
        "error": error_json(dataset),
        **times_json(dataset),
        "urls": dataset_urls(dataset.dataset_id, public_url),
    }


def dataset_urls(dataset_id: str, public_url: str) -> Json:
    return {"self": f"{public_url}/v1/datasets/{dataset_id}", "job": f"{public_url}/v1/jobs/{dataset_id}"}


def times_json(dataset: pb.Dataset) -> Json:
    return {
        "created_at": iso_time(dataset.created_at_ms),
        "finished_at": iso_time(dataset.finished_at_ms),
        "expires_at": iso_time(dataset.expires_at_ms),
    }


def error_json(dataset: pb.Dataset) -> dict[str, Any] | None:
    """Of a failed one, or of the last attempt that is to be made again."""
    if not dataset.error_code:
        return None
    return {"code": dataset.error_code, "detail": without_paths(dataset.error_detail)}


def note_json(note: pb.Note) -> Json:
    return {"subject": note.subject, "code": note.code, "detail": without_paths(note.detail)}
