"""Protos -> the JSON that the HTTP API answers, as pure functions. The command line prints the same."""

import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from kindred.detector.v1 import detector_pb2
from kindred.search.v1 import search_pb2

Json = dict[str, Any]
_SERVER_PATH = re.compile(r"file:/+\S*|(?<![\w/])/(?:[\w.%-]+/)+[\w.%-]+")
_STATES = {
    search_pb2.STATE_UNSPECIFIED: "unknown",
    search_pb2.STATE_STORED: "stored",
    search_pb2.STATE_DERIVED: "derived",
    search_pb2.STATE_INDEXED: "indexed",
    search_pb2.STATE_FAILED: "failed",
    search_pb2.STATE_DELETED: "deleted",
}


def state_name(state: "search_pb2.State.ValueType") -> str:
    return _STATES.get(state, "unknown")


def urls(image_id: str, public_url: str = "") -> Json:
    """Where an image's parts are; paths alone unless the server knows its public address."""
    self_url = f"{public_url}/v1/images/{image_id}"
    return {"file": f"{self_url}/file", "thumb": f"{self_url}/thumb", "self": self_url}


def box_px(box: detector_pb2.Box, width: int, height: int) -> list[float]:
    """xyxyn -> [x, y, w, h] in pixels of the EXIF-oriented original, as COCO has it, within the image."""
    left, right = sorted((_unit(box.x_min), _unit(box.x_max)))
    top, bottom = sorted((_unit(box.y_min), _unit(box.y_max)))
    return [
        round(left * width, 2),
        round(top * height, 2),
        round((right - left) * width, 2),
        round((bottom - top) * height, 2),
    ]


def detection_json(detection: detector_pb2.Detection, width: int, height: int) -> Json:
    return {
        "class": detection.class_name,
        "score": round(detection.score, 4),
        "bbox": box_px(detection.box, width, height),
        "source": detection.source or "single",
        "agreement": detection.agreement or 1,
    }


def labels_json(image: search_pb2.ImageRecord) -> list[Json]:
    return [detection_json(label.detection, image.width, image.height) for label in image.labels]


def rights_json(rights: search_pb2.Rights) -> Json:
    return {
        "license": rights.license or "unknown",
        "license_url": rights.license_url or None,
        "creator": rights.creator or None,
        "credit": rights.credit or None,
        "copyright_notice": rights.copyright_notice or None,
        "source_url": rights.source_url or None,
        "attribution": rights.attribution or None,
    }


def hit_json(hit: search_pb2.Hit, fields: Collection[str] | None = None, public_url: str = "") -> Json:
    """`fields`: the parts to answer beside id and score; None: all."""
    image = hit.image
    parts: dict[str, Callable[[], Any]] = {
        "aspects": dict,
        "width": lambda: image.width,
        "height": lambda: image.height,
        "urls": lambda: urls(hit.image_id, public_url),
        "labels": lambda: labels_json(image),
        "rights": lambda: rights_json(image.rights),
        "generation": lambda: generation_json(image),
        "caption": lambda: image.caption or None,
        "file_name": lambda: image.file_name or None,
        "duplicates": lambda: list(hit.duplicate_ids),
    }
    chosen = {name: make() for name, make in parts.items() if fields is None or name in fields}
    return {"id": hit.image_id, "score": round(hit.score, 6) if hit.HasField("score") else None, **chosen}


def search_json(
    response: search_pb2.SearchResponse,
    request_id: str,
    fields: Collection[str] | None = None,
    public_url: str = "",
    facets: bool = False,
) -> Json:
    counted = {"labels": label_counts_json(response.facets), "over": response.facets_over}
    return {
        "id": request_id,
        "results": [hit_json(hit, fields, public_url) for hit in response.hits],
        "next_cursor": response.next_cursor or None,
        "total": {"value": response.total, "relation": "gte" if response.total_is_lower_bound else "eq"},
        "facets": counted if facets else None,
        "index_version": response.index_version,
        "model": response.space,
    }


def image_json(image: search_pb2.ImageRecord, public_url: str = "") -> Json:
    """A record without what is internal: blob keys never leave the gateway."""
    return {
        "id": image.image_id,
        "state": state_name(image.state),
        "failure": failure_json(image.failure) if image.HasField("failure") and image.failure.code else None,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "byte_size": image.byte_size,
        "origin": image.origin,
        "taken_at": image.taken_at or None,
        "ingested_at": iso_time(image.ingested_at_ms),
        "urls": urls(image.image_id, public_url),
        "labels": [
            {
                **detection_json(label.detection, image.width, image.height),
                "label_set": label.label_set,
                "model": f"{label.model_name}/{label.model_version}",
            }
            for label in image.labels
        ],
        "rights": rights_json(image.rights),
        "source": image.source or None,
        "file_name": image.file_name or None,
        "own": image.own,
        "visibility": "private" if image.visibility == search_pb2.VISIBILITY_PRIVATE else "public",
        "generation": generation_json(image),
        "caption": image.caption or None,
    }


def generation_json(image: search_pb2.ImageRecord) -> Json | None:
    """None for what is no generated image, or where nothing is said of how it was made."""
    if not image.HasField("generation"):
        return None
    said = image.generation
    return {
        "model": said.model or None,
        "prompt": said.prompt or None,
        "negative_prompt": said.negative_prompt or None,
        "seed": said.seed if said.HasField("seed") else None,
        "sampler": said.sampler or None,
        "steps": said.steps if said.HasField("steps") else None,
        "guidance": said.guidance if said.HasField("guidance") else None,
        "tool": said.tool or None,
    }


def failure_json(failure: search_pb2.Failure) -> Json:
    return {"code": failure.code, "detail": without_paths(failure.detail)}


def without_paths(detail: str) -> str:
    """A text of another part, without paths of the server's disk."""
    return _SERVER_PATH.sub("…", detail)


def label_counts_json(counts: Iterable[search_pb2.ListLabelsResponse.LabelCount]) -> list[Json]:
    return [
        {
            "class": count.class_name,
            "label_set": count.label_set or "coco-80",
            "images": count.images,
            "boxes": count.boxes,
        }
        for count in counts
    ]


def iso_time(unix_ms: int) -> str | None:
    """ISO 8601 in UTC with milliseconds; None for 0."""
    if unix_ms <= 0:
        return None
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
