"""Database rows become dataclasses here, and nowhere else."""

from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import Row

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.domain import Item, Label, Rights
from kindred_datasets.jobs import Archive, Job, State


def job(row: Row[Any]) -> Job:
    return Job(
        dataset_id=row.dataset_id,
        owner=row.owner,
        name=row.name,
        spec=pb.DatasetSpec.FromString(row._mapping.get("spec", b"")),
        request_id=row.request_id,
        state=State(row.state),
        stage=row.stage,
        done=row.done,
        total=row.total,
        failed=row.failed,
        attempts=row.attempts,
        images=row.images,
        boxes=row.boxes,
        created_at_ms=row.created_at_ms,
        finished_at_ms=row.finished_at_ms,
        expires_at_ms=row.expires_at_ms,
        error_code=row.error_code,
        error_detail=row.error_detail,
        archive=Archive(row.archive_key, row.archive_bytes, row.archive_sha256),
        manifest_sha256=row.manifest_sha256,
    )


def encode_item(item: Item) -> bytes:
    return orjson.dumps(asdict(item))


def decode_item(payload: bytes) -> Item:
    said = orjson.loads(payload)
    labels = tuple(Label(**{**label, "box": tuple(label["box"])}) for label in said.pop("labels"))
    return Item(**{**said, "rights": Rights(**said["rights"]), "labels": labels})
