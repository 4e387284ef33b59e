"""Between the detector's protobuf messages and its own types."""

from collections.abc import Sequence

from kindred.detector.v1 import detector_pb2 as pb
from kindred_detector.detection import DetectedBox, DetectedImage
from kindred_detector.options import DEFAULT_DETECTIONS, DetectOptions
from kindred_detector.views import Augmentation
from kindred_kit.models import ModelManifest


def options_of(request: pb.DetectRequest) -> DetectOptions:
    return DetectOptions(
        score_threshold=request.score_threshold if request.HasField("score_threshold") else None,
        max_detections=request.max_detections or DEFAULT_DETECTIONS,
        classes=frozenset(request.classes),
        nms_iou=request.nms_iou if request.HasField("nms_iou") else None,
        augmentation=_augmentation(request.augmentation),
        models=tuple(request.models),
    )


def relabel_options_of(request: pb.RelabelRequest) -> DetectOptions:
    return DetectOptions(augmentation=_augmentation(request.augmentation), models=tuple(request.models))


def _augmentation(said: pb.Augmentation) -> Augmentation:
    # through float32 a scale of 1.2 is 1.2000000477
    return Augmentation(said.flip, tuple(round(scale, 4) for scale in said.scales))


def detections_of(detected: DetectedImage) -> list[pb.Detection]:
    classes = detected.models[0].classes
    return [_detection(found, classes) for found in detected.boxes]


def response_of(detected: DetectedImage) -> pb.DetectResponse:
    return pb.DetectResponse(
        detections=detections_of(detected),
        label_set=detected.models[0].label_set,
        model_name="+".join(model.name for model in detected.models),
        model_version="+".join(model.version for model in detected.models),
        width=detected.width,
        height=detected.height,
    )


def _detection(found: DetectedBox, classes: Sequence[str]) -> pb.Detection:
    box = found.box
    return pb.Detection(
        box=pb.Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
        class_id=box.class_id,
        class_name=classes[box.class_id],
        score=box.score,
        source=found.source,
        agreement=found.agreement,
        model="+".join(found.models),
    )


def label_sets_of(models: Sequence[ModelManifest]) -> list[pb.LabelSet]:
    """Label sets with the models that find their classes, in the order of `models`."""
    sets: dict[str, pb.LabelSet] = {}
    for model in models:
        entry = sets.setdefault(model.label_set, pb.LabelSet(name=model.label_set, classes=model.classes))
        entry.models.append(model.name)
    return list(sets.values())
