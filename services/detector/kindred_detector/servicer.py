"""gRPC edge of the detector."""

from typing import Any, TypeAlias

import grpc

from kindred.detector.v1 import detector_pb2 as pb
from kindred.detector.v1 import detector_pb2_grpc
from kindred_detector.detection import MAX_DETECTIONS, DetectOptions, Detector
from kindred_kit.models import ModelManifest
from kindred_kit.models.convert import detection_messages
from kindred_kit.ports.blobs import BlobStore

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class DetectorServicer(detector_pb2_grpc.DetectorServiceServicer):
    def __init__(self, model: ModelManifest, detector: Detector, blobs: BlobStore) -> None:
        self._model = model
        self._detector = detector
        self._blobs = blobs

    async def Detect(self, request: pb.DetectRequest, context: Context) -> pb.DetectResponse:
        data = await self._blobs.get(request.blob_key) if request.blob_key else request.data
        has_threshold = request.HasField("score_threshold")
        options = DetectOptions(
            score_threshold=request.score_threshold if has_threshold else self._model.score_threshold,
            max_detections=request.max_detections or MAX_DETECTIONS,
            classes=frozenset(request.classes),
        )
        detected = await self._detector.detect(data, options)
        return pb.DetectResponse(
            detections=detection_messages(detected.boxes, self._model.classes),
            label_set=self._model.label_set,
            model_name=self._model.name,
            model_version=self._model.version,
            width=detected.width,
            height=detected.height,
        )

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        return pb.GetInfoResponse(
            model_name=self._model.name,
            model_version=self._model.version,
            score_threshold=self._model.score_threshold,
            label_sets=[pb.LabelSet(name=self._model.label_set, classes=self._model.classes)],
        )
