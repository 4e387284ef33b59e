"""Protos become what the service speaks, and jobs become protos: here, and nowhere else."""

from collections.abc import Mapping, Sequence

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.domain import Note
from kindred_datasets.export.formats import Form
from kindred_datasets.jobs import Job, State
from kindred_kit.errors import PrincipalMissing
from kindred_kit.licenses import LICENSE_TYPES

FORMATS: Mapping[int, Form] = {pb.FORMAT_COCO: "coco", pb.FORMAT_YOLO: "yolo", pb.FORMAT_VOC: "voc"}
_SHOWN = 100
"""Entries of a list in the spec that is shown."""


def owner_of(principal: search_pb2.Principal) -> str:
    """Raises PrincipalMissing."""
    if not principal.owner:
        raise PrincipalMissing("the call names no principal")
    return principal.owner


def license_types(spec: pb.DatasetSpec) -> list[str]:
    return [name.strip() for name in spec.license_type.split(",") if name.strip()]


def wanted_filter(spec: pb.DatasetSpec) -> search_pb2.Filter:
    """All that an image has to meet: the filter, and licences that permit what is wanted."""
    wanted = search_pb2.Filter()
    wanted.CopyFrom(spec.filter)
    wanted.conditions.extend(license_condition(name) for name in license_types(spec))
    return wanted


def license_condition(license_type: str) -> search_pb2.Condition:
    """The licence permits this use."""
    values = [search_pb2.Value(text=name) for name in LICENSE_TYPES[license_type]]
    return search_pb2.Condition(field="license", operator=search_pb2.OPERATOR_IN, values=values)


def dataset_pb(
    job: Job, notes: Sequence[Note] = (), notes_total: int = 0, by_code: Mapping[str, int] | None = None
) -> pb.Dataset:
    done = job.state is State.DONE
    return pb.Dataset(
        dataset_id=job.dataset_id,
        name=job.name,
        state=pb.DatasetState.ValueType(job.state),
        stage=job.stage,
        done=job.done,
        total=job.total,
        failed=job.failed,
        images=job.images,
        boxes=job.boxes,
        created_at_ms=job.created_at_ms,
        finished_at_ms=job.finished_at_ms,
        expires_at_ms=job.expires_at_ms,
        error_code=job.error_code,
        error_detail=job.error_detail,
        notes=[pb.Note(subject=note.subject, code=note.code, detail=note.detail) for note in notes],
        notes_total=notes_total,
        notes_by_code=by_code or {},
        archive_key=job.archive.key if done else "",
        archive_bytes=job.archive.byte_size,
        archive_sha256=job.archive.sha256,
        manifest_sha256=job.manifest_sha256,
        spec=_shown(job.spec),
    )


def _shown(spec: pb.DatasetSpec) -> pb.DatasetSpec:
    """Without long lists: whoever watches a job asks often, and knows what it gave."""
    shown = pb.DatasetSpec()
    shown.CopyFrom(spec)
    for photos in (shown.holdout, shown.holdout_ids):
        del photos[_SHOWN:]
    if shown.WhichOneof("from") == "ids":
        del shown.ids.image_ids[_SHOWN:]
    return shown
