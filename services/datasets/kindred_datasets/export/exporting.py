"""The last part of a build: what was chosen goes into an archive."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_datasets.convert import FORMATS, license_types
from kindred_datasets.domain import Item
from kindred_datasets.export.destination import Published, ZipDestination
from kindred_datasets.export.packing import Exported, ExportSpec, export
from kindred_datasets.jobs import Progress, Stage
from kindred_datasets.leasing import Lease
from kindred_datasets.records import rounded
from kindred_datasets.selection.seeds import photo_name
from kindred_datasets.settings import DatasetSettings
from kindred_datasets.store import checkpoints, jobs, notes
from kindred_datasets.sweeping import archive_key
from kindred_kit.adapters.file_references import is_reference
from kindred_kit.ports.blobs import BlobStore

_BATCH = 500


async def export_items(
    lease: Lease, spec: pb.DatasetSpec, blobs: BlobStore, settings: DatasetSettings, progress: Progress
) -> Exported:
    """Write and store the archive. Raises StorageFull, Unavailable, DatasetEmpty."""
    total = await lease.store.read(checkpoints.item_count, lease.dataset_id)
    progress.begin(Stage.EXPORT, total)
    already_failed = progress.failed

    async def items() -> AsyncIterator[Sequence[Item]]:
        for start in range(0, total, _BATCH):
            yield await lease.store.read(checkpoints.items_from, lease.dataset_id, start, _BATCH)

    def count(done: int) -> None:
        progress.done = done

    selected = orjson.loads(await lease.store.read(jobs.facts_of, lease.dataset_id))
    order = ExportSpec(
        name=spec.name,
        form=FORMATS[spec.format],
        classes=tuple(spec.classes),
        facts={**facts_of(spec), **selected},
        notes=await lease.store.read(notes.listed, lease.dataset_id),
        link_of=(lambda item: _link(item, settings.public_url)) if spec.links else None,
    )
    exported = await export(order, items, blobs, _Packing(lease.dataset_id, blobs, settings, progress), count)
    progress.failed = already_failed + len(exported.notes)
    return exported


class _Packing(ZipDestination):
    """A zip in the object store; tells when it is on its way there."""

    def __init__(self, dataset_id: str, blobs: BlobStore, settings: DatasetSettings, progress: Progress) -> None:
        super().__init__(
            settings.datasets_work_dir / dataset_id, lambda path: blobs.put_file(archive_key(dataset_id), path)
        )
        self._progress = progress

    async def publish(self) -> Published:
        self._progress.begin(Stage.PACK, 1)
        return await super().publish()


def facts_of(spec: pb.DatasetSpec) -> dict[str, Any]:
    """What was ordered, for the manifest: nothing that changes from one run of the same order to the next."""
    facts: dict[str, Any] = {
        "size": spec.size,
        "diversity": round(spec.diversity, 6),
        "balance_classes": spec.balance_classes,
        "keep_duplicates": spec.keep_duplicates,
        "val_share": round(spec.val_share, 6),
        "seed": spec.seed,
        "thresholds": rounded(spec.class_thresholds),
        "holdout_photos": len(spec.holdout) + len(spec.holdout_ids),
        "filter": MessageToDict(spec.filter, preserving_proto_field_name=True),
    }
    match spec.WhichOneof("from"):
        case "query":
            facts["query"] = spec.query.text
        case "ids":
            facts["ids"] = len(spec.ids.image_ids)
        case _:
            facts["failures"] = [_failure(photo) for photo in spec.failures.photos]
    if spec.HasField("min_score"):
        facts["min_score"] = round(spec.min_score, 6)
    if spec.HasField("label_min_score"):
        facts["label_min_score"] = round(spec.label_min_score, 6)
    if spec.license_type:
        facts["license_type"] = license_types(spec)
    return facts


def _failure(photo: pb.FailurePhoto) -> dict[str, Any]:
    boxes = [
        {
            "xyxyn": [round(side, 6) for side in (box.x_min, box.y_min, box.x_max, box.y_max)],
            **({"class": box.class_name} if box.class_name else {}),
        }
        for box in photo.missed
    ]
    return {"photo": photo_name(photo), "boxes": boxes}


def _link(item: Item, public_url: str) -> str:
    """Where an image is: its file on a laptop, else its address in the API."""
    if is_reference(item.blob_key) and not public_url:
        return item.blob_key
    return f"{public_url}/v1/images/{item.image_id}/file"
