"""An order as it came becomes one that can be built: every bound checked, defaults filled in."""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.convert import FORMATS, license_types
from kindred_datasets.errors import SizeInvalid, ThresholdInvalid, UnknownFormat
from kindred_kit.adapters.file_references import referenced_path
from kindred_kit.adapters.object_store import checked_key
from kindred_kit.errors import InvalidArgument, InvalidRegion
from kindred_kit.imaging.rights import clean_text
from kindred_kit.licenses import LICENSE_TYPES

MAX_SIZE = 100_000
MAX_FAILURES = 1_000
MAX_BOXES = 50
"""Of one failure photo."""
MAX_HOLDOUT = 100_000
MAX_CLASSES = 1_000
MAX_VAL_SHARE = 0.9
DEFAULT_VAL_SHARE = 0.2
_MAX_NAME, _MAX_KEY = 200, 255
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


def checked_order(said: pb.DatasetSpec) -> pb.DatasetSpec:
    """A copy with defaults. Raises InvalidArgument, InvalidRegion, UnknownFormat, pointing at what is wrong."""
    spec = pb.DatasetSpec()
    spec.CopyFrom(said)
    source = spec.WhichOneof("from")
    if source is None:
        raise InvalidArgument("a data set is made from a query, from ids or from failures", pointer="")
    spec.name = (clean_text(spec.name) or "")[:_MAX_NAME] or "dataset"
    if source == "ids":
        _check_ids(spec.ids.image_ids, "/ids", MAX_SIZE)
        spec.size = spec.size or len(spec.ids.image_ids)
        if not spec.ids.image_ids:
            raise InvalidArgument("the list of ids is empty", pointer="/ids")
    elif source == "failures":
        _check_failures(spec.failures)
    if not 1 <= spec.size <= MAX_SIZE:
        raise SizeInvalid(f"size lies between 1 and {MAX_SIZE:,}", pointer="/size")
    _between(spec.diversity, 0, 1, "diversity")
    if spec.HasField("min_score"):
        _between(spec.min_score, -1, 1, "min_score")
        if source == "ids" or (source == "query" and not spec.query.terms):
            raise InvalidArgument("min_score needs a query: what is only filtered has no score", pointer="/min_score")
    spec.val_share = spec.val_share if spec.HasField("val_share") else DEFAULT_VAL_SHARE
    _between(spec.val_share, 0, MAX_VAL_SHARE, "val_share")
    if spec.HasField("label_min_score"):
        _between(spec.label_min_score, 0, 1, "labels/min_score", ThresholdInvalid)
    if len(spec.class_thresholds) > MAX_CLASSES or len(spec.classes) > MAX_CLASSES:
        raise InvalidArgument(f"at most {MAX_CLASSES:,} classes", pointer="/labels")
    for name, threshold in spec.class_thresholds.items():
        _between(threshold, 0, 1, f"labels/thresholds/{name[:80]}", ThresholdInvalid)
    spec.format = spec.format or pb.FORMAT_COCO
    if spec.format not in FORMATS:
        raise UnknownFormat(f"no such format; there are {', '.join(FORMATS.values())}", pointer="/format")
    unknown = [name for name in license_types(spec) if name not in LICENSE_TYPES]
    if unknown:
        known = ", ".join(LICENSE_TYPES)
        raise InvalidArgument(f"no licence type {unknown[0][:80]!r}; there are {known}", pointer="/license_type")
    if len(spec.holdout) > MAX_HOLDOUT:
        raise InvalidArgument(f"at most {MAX_HOLDOUT:,} holdout photos", pointer="/holdout")
    for position, photo in enumerate(spec.holdout):
        _check_given(photo, f"/holdout/{position}")
    _check_ids(spec.holdout_ids, "/holdout/image_ids", MAX_HOLDOUT)
    return spec


def checked_idempotency_key(key: str) -> str:
    if len(key) > _MAX_KEY or not key.isprintable():
        raise InvalidArgument(f"an idempotency key has at most {_MAX_KEY} printable characters")
    return key


def digest_of(spec: pb.DatasetSpec) -> str:
    """Tells orders apart. A query is known by how it reads: floats of the same text may differ in the last bit."""
    order = pb.DatasetSpec()
    order.CopyFrom(spec)
    if order.query.text:
        for term in order.query.terms:
            if term.WhichOneof("of") == "embedding":
                term.ClearField("embedding")
    return hashlib.sha256(order.SerializeToString(deterministic=True)).hexdigest()


def _check_failures(failures: pb.FailureSet) -> None:
    if not 1 <= len(failures.photos) <= MAX_FAILURES:
        raise InvalidArgument(f"a failure set has 1 to {MAX_FAILURES:,} photos", pointer="/failures")
    for position, photo in enumerate(failures.photos):
        pointer = f"/failures/{position}"
        if photo.WhichOneof("photo") == "image_id":
            _check_ids([photo.image_id], pointer, 1)
        elif photo.WhichOneof("photo") == "given":
            _check_given(photo.given, pointer)
        else:
            raise InvalidArgument("a failure photo is an image id or a photo of your own", pointer=pointer)
        if len(photo.missed) > MAX_BOXES:
            raise InvalidArgument(f"a failure photo has at most {MAX_BOXES} boxes", pointer=f"{pointer}/boxes")
        for number, box in enumerate(photo.missed):
            if not all(0 <= low < high <= 1 for low, high in _sides(box)):
                raise InvalidRegion("the box does not lie in its image", pointer=f"{pointer}/boxes/{number}")


def _sides(box: pb.Missed) -> Iterator[tuple[float, float]]:
    """NaN compares as outside."""
    yield box.x_min, box.x_max
    yield box.y_min, box.y_max


def _check_given(photo: pb.GivenImage, pointer: str) -> None:
    path = referenced_path(photo.blob_key)
    try:
        if path is None:
            checked_key(photo.blob_key)
        elif not path.is_absolute():
            raise InvalidArgument("a file reference is absolute: file:///…")
    except InvalidArgument as error:
        error.pointer = pointer
        raise


def _check_ids(ids: Sequence[str], pointer: str, most: int) -> None:
    if len(ids) > most:
        raise InvalidArgument(f"at most {most:,} ids", pointer=pointer)
    for position, image_id in enumerate(ids):
        if not _IMAGE_ID.fullmatch(image_id):
            raise InvalidArgument("an image id has 64 hex digits", pointer=f"{pointer}/{position}")


def _between(value: float, low: float, high: float, name: str, error: type[InvalidArgument] = InvalidArgument) -> None:
    if not math.isfinite(value) or not low <= round(value, 6) <= high:
        raise error(f"{name.rpartition('/')[2]} lies between {low:g} and {high:g}", pointer=f"/{name}")
