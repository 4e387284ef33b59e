"""Database rows become dataclasses here, and nowhere else."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from kindred_search import generating
from kindred_search.domain import (
    Claim,
    Collection,
    Detection,
    Failure,
    Generation,
    ImageRecord,
    Rights,
    State,
    Visibility,
)

STORED_DTYPE = np.dtype("<f2")


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """float32 [d] -> little-endian float16."""
    return vector.astype(STORED_DTYPE).tobytes()


def decode_vector(blob: bytes) -> NDArray[np.float32]:
    """Stored float16 -> float32 [d], L2-normalised again."""
    vector = np.frombuffer(blob, dtype=STORED_DTYPE).astype(np.float32)
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm else vector


# Every search page builds these from rows: by place it takes a third of the time that names take.
RIGHTS_COLUMNS = ("license", "license_url", "creator", "credit", "copyright_notice", "source_url", "attribution")
CLAIM_COLUMNS = ("owner", "visibility", "source", "file_name", "caption", *RIGHTS_COLUMNS)
GENERATION_COLUMNS = ("tool", "model", "prompt", "negative_prompt", "sampler", "seed", "steps", "guidance")
IMAGE_COLUMNS = (
    *("image_id", "width", "height", "format", "byte_size", "origin", "taken_at", "created_at_ms"),
    *("blob_key", "thumb_key", "state", "failure_code", "failure_detail"),
)
DETECTION_COLUMNS = (
    *("image_id", "label_set", "model_name", "model_version", "class_id", "class_name", "score"),
    *("x_min", "y_min", "x_max", "y_max", "source", "agreement"),
)


def failure(code: str | None, detail: str | None) -> Failure | None:
    return Failure(code, detail or "") if code else None


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
        "caption": said.caption,
        "created_at_ms": now_ms,
    }


def generation_values(owner: str, image_id: str, said: Generation) -> dict[str, Any]:
    """A claim's generation as a row of `generations`."""
    return {
        "image_id": image_id,
        "owner": owner,
        "tool": said.tool,
        "model": said.model,
        "prompt": said.prompt,
        "negative_prompt": said.negative_prompt,
        "sampler": said.sampler,
        "seed": None if said.seed is None else str(said.seed),
        "steps": said.steps,
        "guidance": said.guidance,
        "model_key": generating.model_key(said.model),
        "prompt_words": generating.stored_words(said.prompt),
    }


def generation(row: Sequence[Any]) -> Generation | None:
    """A row of GENERATION_COLUMNS, or None where an outer join found none."""
    tool, model, prompt, negative_prompt, sampler, seed, steps, guidance = row
    if tool is None:
        return None
    return Generation(
        tool, model, prompt, negative_prompt, sampler, None if seed is None else int(seed), steps, guidance
    )


def detection(row: Sequence[Any]) -> tuple[str, Detection]:
    """A row of DETECTION_COLUMNS: the image's id and what was found."""
    image_id, label_set, name, version, class_id, class_name, score, x_min, y_min, x_max, y_max, source, agreement = row
    box = (x_min, y_min, x_max, y_max)
    return image_id, Detection(label_set, name, version, class_id, class_name, score, box, source, agreement)


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


def record(row: Sequence[Any], owner: str, labels: Mapping[str, list[Detection]]) -> ImageRecord:
    """A row of IMAGE_COLUMNS, with CLAIM_COLUMNS and GENERATION_COLUMNS of the claim that `owner` sees."""
    image_id, width, height, form, byte_size, origin, taken_at, ingested_at_ms, blob_key, thumb_key, *rest = row
    state, code, detail, claimant, visibility, source, file_name, caption, *rest = rest
    rights, generated = rest[: len(RIGHTS_COLUMNS)], rest[len(RIGHTS_COLUMNS) :]
    return ImageRecord(
        image_id,
        width,
        height,
        form,
        byte_size,
        origin,
        taken_at,
        ingested_at_ms,
        State(state),
        failure(code, detail),
        Claim(Rights(*rights), Visibility(visibility), source, file_name, caption, generation(generated)),
        claimant == owner,
        blob_key,
        thumb_key,
        tuple(labels.get(image_id, ())),
    )


def collection(row: Row[Any]) -> Collection:
    return Collection(row.name, row.space, row.view, row.generation, row.dimension)
