"""Records of the catalogue -> items of a data set, with the labels that are exported."""

from collections.abc import Callable, Mapping, Sequence

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.domain import Item, Label, Rights, Split
from kindred_kit.models.classes import class_key

LabelsOf = Callable[[search_pb2.ImageRecord], tuple[Label, ...]]


def exported_labels(spec: pb.DatasetSpec) -> LabelsOf:
    """What of an image's labels is exported: wanted classes, from their own threshold on, else from the common one."""
    wanted = {class_key(name) for name in spec.classes}
    thresholds = {class_key(name): score for name, score in spec.class_thresholds.items()}
    lowest = spec.label_min_score if spec.HasField("label_min_score") else 0.0

    def kept(record: search_pb2.ImageRecord) -> tuple[Label, ...]:
        found = []
        for said in record.labels:
            key = class_key(said.detection.class_name)
            label = _label(said)
            if label is not None and (not wanted or key in wanted) and label.score >= thresholds.get(key, lowest):
                found.append(label)
        return tuple(found)

    return kept


def item(
    record: search_pb2.ImageRecord,
    labels: tuple[Label, ...],
    score: float | None,
    chosen_for: str,
    group: int,
    split: Split,
) -> Item:
    rights = record.rights
    return Item(
        image_id=record.image_id,
        width=record.width,
        height=record.height,
        format=record.format,
        byte_size=record.byte_size,
        origin=record.origin,
        blob_key=record.blob_key,
        thumb_key=record.thumb_key,
        file_name=record.file_name,
        rights=Rights(
            rights.license or "unknown",
            rights.license_url,
            rights.creator,
            rights.credit,
            rights.source_url,
            rights.attribution,
        ),
        labels=labels,
        score=None if score is None else round(score, 6),
        chosen_for=chosen_for,
        group=group,
        split=split,
    )


def class_names(labels: Sequence[Label]) -> frozenset[str]:
    return frozenset(label.class_name for label in labels)


def rounded(thresholds: Mapping[str, float]) -> dict[str, float]:
    """As a person wrote them: through float32 0.3 is 0.30000001192092896."""
    return {name: round(score, 6) for name, score in sorted(thresholds.items())}


def _label(said: search_pb2.LabelledDetection) -> Label | None:
    found = said.detection
    x_min, x_max = sorted(min(1.0, max(0.0, x)) for x in (found.box.x_min, found.box.x_max))
    y_min, y_max = sorted(min(1.0, max(0.0, y)) for y in (found.box.y_min, found.box.y_max))
    if x_min == x_max or y_min == y_max:  # nothing of it is left within the image
        return None
    return Label(
        label_set=said.label_set,
        class_name=found.class_name,
        score=found.score,
        box=(x_min, y_min, x_max, y_max),
        source=found.source or "single",
        agreement=found.agreement or 1,
        model=found.model or f"{said.model_name}/{said.model_version}",
    )
