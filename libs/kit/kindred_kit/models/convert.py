"""Found boxes -> protobuf detections; both embedder (pipeline models) and detector write them."""

from collections.abc import Sequence

from kindred.detector.v1 import detector_pb2 as detector
from kindred_kit.models.boxes import FoundBox


def detection_messages(boxes: Sequence[FoundBox], classes: Sequence[str]) -> list[detector.Detection]:
    """Detections of a single run; `classes` are the names of the label set by class id."""
    return [
        detector.Detection(
            box=detector.Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
            class_id=box.class_id,
            class_name=classes[box.class_id],
            score=box.score,
            source="single",
            agreement=1,
        )
        for box in boxes
    ]
