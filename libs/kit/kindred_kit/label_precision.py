"""Thresholds for the labels that a data set exports, from how precise they have to be."""

from kindred.datasets.v1 import datasets_pb2
from kindred.search.v1 import search_pb2, search_pb2_grpc


async def ask_precision(
    search: "search_pb2_grpc.SearchServiceAsyncStub",
    principal: search_pb2.Principal,
    spec: datasets_pb2.DatasetSpec,
    precision: float,
) -> None:
    """Set the thresholds of `spec` so that its labels are this precise; its own ones stay.

    Classes that nobody knows to be so precise are not exported. Raises PrecisionUnavailable where none is, or one that
    `spec` names.
    """
    classes = [name for name in spec.classes if name not in spec.class_thresholds]
    if spec.classes and not classes:
        return
    request = search_pb2.GetLabelThresholdsRequest(principal=principal, min_precision=precision, classes=classes)
    answer = await search.GetLabelThresholds(request)
    for name, score in answer.thresholds.items():
        if name not in spec.class_thresholds:
            spec.class_thresholds[name] = score
    if not spec.classes:
        spec.classes.extend(sorted(spec.class_thresholds))
