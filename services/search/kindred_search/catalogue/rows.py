"""Database rows become dataclasses here, and nowhere else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from kindred_search.domain import Claim, Collection, Detection, Failure, ImageRecord, Rights, State, Visibility

STORED_DTYPE = np.dtype("<f2")


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """float32 [d] -> little-endian float16."""
    return vector.astype(STORED_DTYPE).tobytes()


def decode_vector(blob: bytes) -> NDArray[np.float32]:
    """Stored float16 -> float32 [d], L2-normalised again."""
    vector = np.frombuffer(blob, dtype=STORED_DTYPE).astype(np.float32)
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm else vector


def failure(row: Row[*tuple[Any, ...]]) -> Failure | None:
    return Failure(row.failure_code, row.failure_detail or "") if row.failure_code else None


def claim(row: Row[*tuple[Any, ...]]) -> Claim:
    rights = Rights(
        license=row.license,
        license_url=row.license_url,
        creator=row.creator,
        credit=row.credit,
        copyright_notice=row.copyright_notice,
        source_url=row.source_url,
        attribution=row.attribution,
    )
    return Claim(rights, Visibility(row.visibility), row.source, row.file_name)


def claim_values(owner: str, image_id: str, said: Claim, now_ms: int) -> dict[str, Any]:
    """A claim as a row of `claims`."""
    return {
        "image_id": image_id,
        "owner": owner,
        "visibility": int(said.visibility),
        "license": said.rights.license,
        "license_url": said.rights.license_url,
        "creator": said.rights.creator,
        "credit": said.rights.credit,
        "copyright_notice": said.rights.copyright_notice,
        "source_url": said.rights.source_url,
        "attribution": said.rights.attribution,
        "source": said.source,
        "file_name": said.file_name,
        "created_at_ms": now_ms,
    }


def detection(row: Row[Any]) -> Detection:
    return Detection(
        label_set=row.label_set,
        model_name=row.model_name,
        model_version=row.model_version,
        class_id=row.class_id,
        class_name=row.class_name,
        score=row.score,
        box=(row.x_min, row.y_min, row.x_max, row.y_max),
        source=row.source,
        agreement=row.agreement,
    )


def detection_values(image_id: str, ordinal: int, found: Detection) -> dict[str, Any]:
    """A detection as a row of `detections`."""
    x_min, y_min, x_max, y_max = found.box
    return {
        "image_id": image_id,
        "label_set": found.label_set,
        "model_version": found.model_version,
        "ordinal": ordinal,
        "model_name": found.model_name,
        "class_id": found.class_id,
        "class_name": found.class_name,
        "score": found.score,
        "x_min": x_min,
        "y_min": y_min,
        "x_max": x_max,
        "y_max": y_max,
        "source": found.source,
        "agreement": found.agreement,
    }


def record(row: Row[*tuple[Any, ...]], owner: str, labels: Mapping[str, list[Detection]]) -> ImageRecord:
    """A row of images joined with the claim that `owner` sees."""
    return ImageRecord(
        image_id=row.image_id,
        width=row.width,
        height=row.height,
        format=row.format,
        byte_size=row.byte_size,
        origin=row.origin,
        taken_at=row.taken_at,
        ingested_at_ms=row.ingested_at_ms,
        state=State(row.state),
        failure=failure(row),
        claim=claim(row),
        own=row.owner == owner,
        blob_key=row.blob_key,
        thumb_key=row.thumb_key,
        labels=tuple(labels.get(row.image_id, ())),
    )


def collection(row: Row[Any]) -> Collection:
    return Collection(row.name, row.space, row.view, row.generation, row.dimension)
