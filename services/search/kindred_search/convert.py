"""Protos become dataclasses, checked, and dataclasses become protos: here, and nowhere else."""

import math
import re
from collections.abc import Sequence

from kindred.detector.v1 import detector_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import referenced_path
from kindred_kit.embeddings import embedding_vector
from kindred_kit.errors import InvalidArgument
from kindred_search import access
from kindred_search.catalogue.takedowns import TakeDown
from kindred_search.domain import (
    UNKNOWN_LICENSE,
    Accepted,
    Claim,
    Derived,
    Detection,
    Failure,
    Generation,
    ImageRecord,
    ImageState,
    LabelCount,
    LabelRun,
    NewImage,
    Reference,
    Rights,
    ViewEmbedding,
    Visibility,
)
from kindred_search.labels import require_label_set
from kindred_search.mixing import unit

_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9][a-z0-9._+-]{0,31}")
_MAX_RUN = 400
_MAX_NAME = 200
_MAX_TEXT = 10_000
"""Characters of a free text such as a copyright notice; the rest is cut."""


def owner_of(principal: pb.Principal) -> str:
    """Raises PrincipalMissing, InvalidArgument."""
    return access.require_owner(principal.owner)


def image_id(text: str, pointer: str | None = None) -> str:
    """A checked image id. Raises InvalidArgument."""
    if not _IMAGE_ID.fullmatch(text):
        raise InvalidArgument("an image id has 64 hex digits", pointer=pointer)
    return text


def image_ids(texts: Sequence[str]) -> list[str]:
    return [image_id(text) for text in texts]


def word(text: str, what: str) -> str:
    """A short name such as a format or an origin. Raises InvalidArgument."""
    if not _WORD.fullmatch(text):
        raise InvalidArgument(f"not a name for {what}: {text[:80]!r}")
    return text


def reason(text: str) -> str:
    """Why an image was taken down. Raises InvalidArgument without one."""
    if not text.strip():
        raise InvalidArgument("a take-down needs a reason")
    return text.strip()[:_MAX_TEXT].replace("\x00", "")


def take_down_pb(entry: TakeDown) -> pb.ListTakeDownsResponse.Entry:
    return pb.ListTakeDownsResponse.Entry(
        image_id=entry.image_id, reason=entry.reason, taken_down_at_ms=entry.taken_down_at_ms
    )


def new_image(image: pb.NewImage) -> NewImage:
    """Raises InvalidArgument, naming what is wrong."""
    if not image.blob_key:
        raise InvalidArgument(f"image {image.image_id[:64]} has no blob key")
    if image.width <= 0 or image.height <= 0 or image.byte_size <= 0:
        raise InvalidArgument(f"image {image.image_id[:64]} has no size")
    referenced = referenced_path(image.blob_key)
    if referenced is not None and not referenced.is_absolute():
        raise InvalidArgument("a file reference is absolute: file:///…")
    return NewImage(
        image_id=image_id(image.image_id),
        blob_key=image.blob_key,
        byte_size=image.byte_size,
        mtime_ns=image.mtime_ns,
        width=image.width,
        height=image.height,
        format=word(image.format, "a format"),
        origin=word(image.origin or "photo", "an origin"),
        taken_at=image.taken_at[:64],
        claim=_claim(image.claim, _generation(image.generation) if image.HasField("generation") else None),
    )


def _generation(said: pb.Generation) -> Generation:
    """Raises InvalidArgument for a number that none can have."""
    if said.steps < 0 or not 0 <= said.guidance < math.inf:
        raise InvalidArgument("steps and guidance of a generated image are not negative")
    return Generation(
        tool=word(said.tool, "a program") if said.tool else "",
        model=said.model[:_MAX_NAME],
        prompt=said.prompt[:_MAX_TEXT],
        negative_prompt=said.negative_prompt[:_MAX_TEXT],
        sampler=said.sampler[:_MAX_NAME],
        seed=said.seed if said.HasField("seed") else None,
        steps=said.steps if said.HasField("steps") else None,
        guidance=said.guidance if said.HasField("guidance") else None,
    )


def _claim(claim: pb.Claim, generation: Generation | None) -> Claim:
    said = claim.rights
    rights = Rights(
        license=access.require_license(said.license or UNKNOWN_LICENSE),
        license_url=said.license_url[:_MAX_TEXT],
        creator=said.creator[:_MAX_TEXT],
        credit=said.credit[:_MAX_TEXT],
        copyright_notice=said.copyright_notice[:_MAX_TEXT],
        source_url=said.source_url[:_MAX_TEXT],
        attribution=said.attribution[:_MAX_TEXT],
    )
    # nobody said: the careful reading
    visible = Visibility.PUBLIC if claim.visibility == pb.VISIBILITY_PUBLIC else Visibility.PRIVATE
    texts = (claim.source[:_MAX_TEXT], claim.file_name[:_MAX_TEXT], claim.caption[:_MAX_TEXT])
    return Claim(rights, visible, *texts, generation)


def derived(request: pb.Derived) -> Derived:
    """Raises InvalidArgument."""
    found = tuple(
        ViewEmbedding(
            view=e.view,
            space=e.space,
            model_name=e.model_name,
            model_version=e.model_version,
            vector=unit(embedding_vector(e.embedding), "/embeddings"),
        )
        for e in request.embeddings
    )
    if any(not e.view or not e.space for e in found):
        raise InvalidArgument("an embedding needs a view and a space")
    runs = tuple(_label_run(run) for run in request.labels)
    return Derived(image_id(request.image_id), request.seq, found, runs, request.thumb_key)


def _label_run(run: pb.Derived.Labels) -> LabelRun:
    name = require_label_set(run.label_set)
    found = []
    for d in run.detections:
        if not 0 <= d.score <= 1:
            raise InvalidArgument("a detection's score lies between 0 and 1")
        box = (d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max)
        model_name, model_version = _models(run, d.model)
        place = (d.class_id, d.class_name, d.score, box, d.source or "single", max(d.agreement, 1))
        found.append(Detection(name, model_name, model_version, *place))
    return LabelRun(name, tuple(found), _run(run), bool(run.run))


def _run(said: pb.Derived.Labels) -> str:
    run = said.run or f"{said.model_name}/{said.model_version}"
    if len(run) > _MAX_RUN:
        raise InvalidArgument(f"the name of a run of models has at most {_MAX_RUN} characters")
    return run


def _models(run: pb.Derived.Labels, seen_by: str) -> tuple[str, str]:
    """Names and versions of the models that saw a detection; without any of its own, those of the run."""
    parts = [model.rpartition("/") for model in seen_by.split("+") if model]
    if not parts:
        return run.model_name, run.model_version
    return "+".join(name for name, _, _ in parts), "+".join(version for _, _, version in parts)


def failure(said: pb.Failure) -> Failure:
    return Failure(said.code or "internal", said.detail[:_MAX_TEXT])


def failure_pb(said: Failure | None) -> pb.Failure | None:
    return None if said is None else pb.Failure(code=said.code, detail=said.detail)


def accepted_pb(result: Accepted) -> pb.AcceptImagesResponse.Result:
    return pb.AcceptImagesResponse.Result(
        image_id=result.image_id, created=result.created, seq=result.seq, state=pb.State.ValueType(result.state)
    )


def reference_pb(found: Reference) -> pb.FindReferencesResponse.Reference:
    return pb.FindReferencesResponse.Reference(
        blob_key=found.blob_key,
        image_id=found.image_id,
        byte_size=found.byte_size,
        mtime_ns=found.mtime_ns,
        state=pb.State.ValueType(found.state),
        failure=failure_pb(found.failure),
    )


def state_pb(found: ImageState) -> pb.GetStatesResponse.ImageState:
    return pb.GetStatesResponse.ImageState(
        image_id=found.image_id, state=pb.State.ValueType(found.state), failure=failure_pb(found.failure)
    )


def record_pb(record: ImageRecord) -> pb.ImageRecord:
    said = record.claim.rights
    return pb.ImageRecord(
        image_id=record.image_id,
        width=record.width,
        height=record.height,
        format=record.format,
        byte_size=record.byte_size,
        origin=record.origin,
        taken_at=record.taken_at,
        ingested_at_ms=record.ingested_at_ms,
        state=pb.State.ValueType(record.state),
        failure=failure_pb(record.failure),
        rights=pb.Rights(
            license=said.license,
            license_url=said.license_url,
            creator=said.creator,
            credit=said.credit,
            copyright_notice=said.copyright_notice,
            source_url=said.source_url,
            attribution=said.attribution,
        ),
        source=record.claim.source,
        file_name=record.claim.file_name,
        own=record.own,
        blob_key=record.blob_key,
        thumb_key=record.thumb_key,
        labels=[_labelled_pb(found) for found in record.labels],
        visibility=pb.Visibility.ValueType(record.claim.visibility),
        generation=_generation_pb(record.claim.generation),
        caption=record.claim.caption,
    )


def _generation_pb(said: Generation | None) -> pb.Generation | None:
    if said is None:
        return None
    return pb.Generation(
        tool=said.tool,
        model=said.model,
        prompt=said.prompt,
        negative_prompt=said.negative_prompt,
        sampler=said.sampler,
        seed=said.seed,
        steps=said.steps,
        guidance=said.guidance,
    )


def _labelled_pb(found: Detection) -> pb.LabelledDetection:
    x_min, y_min, x_max, y_max = found.box
    return pb.LabelledDetection(
        label_set=found.label_set,
        model_name=found.model_name,
        model_version=found.model_version,
        detection=detector_pb2.Detection(
            box=detector_pb2.Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
            class_id=found.class_id,
            class_name=found.class_name,
            score=found.score,
            source=found.source,
            agreement=found.agreement,
        ),
    )


def label_count_pb(count: LabelCount) -> pb.ListLabelsResponse.LabelCount:
    return pb.ListLabelsResponse.LabelCount(
        label_set=count.label_set, class_name=count.class_name, images=count.images, boxes=count.boxes
    )
