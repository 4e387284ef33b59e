"""Outbox rows: what happened to an image, to be published on `images.v1` after the transaction."""

import uuid
from typing import Any

from kindred.events.v1 import events_pb2

SCHEMA_VERSION = 1


def outbox_row(
    kind: events_pb2.ImageEvent.Kind.ValueType, image_id: str, seq: int, blob_key: str, request_id: str, now_ms: int
) -> dict[str, Any]:
    """A row of `outbox` for one event."""
    event = events_pb2.ImageEvent(
        event_id=uuid.uuid4().hex,
        schema_version=SCHEMA_VERSION,
        kind=kind,
        image_id=image_id,
        seq=seq,
        blob_key=blob_key,
        request_id=request_id,
        occurred_at_ms=now_ms,
    )
    return {"image_id": image_id, "request_id": request_id, "payload": event.SerializeToString()}
