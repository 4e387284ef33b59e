"""gRPC edge of the detector."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import grpc

from kindred.detector.v1 import detector_pb2 as pb
from kindred.detector.v1 import detector_pb2_grpc
from kindred_detector.convert import label_sets_of, options_of, relabel_options_of, response_of
from kindred_detector.detection import Detector
from kindred_detector.relabelling import Relabeller
from kindred_kit.errors import NotAvailable
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.worker import Worker

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class DetectorServicer(detector_pb2_grpc.DetectorServiceServicer):
    def __init__(
        self, detector: Detector, blobs: BlobStore, workers: Sequence[Worker], relabeller: Relabeller | None
    ) -> None:
        self._detector = detector
        self._blobs = blobs
        self._workers = workers
        self._relabeller = relabeller

    async def Detect(self, request: pb.DetectRequest, context: Context) -> pb.DetectResponse:
        data = await self._blobs.get(request.blob_key) if request.blob_key else request.data
        return response_of(await self._detector.detect(data, options_of(request)))

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        model = self._detector.default
        return pb.GetInfoResponse(
            model_name=model.name,
            model_version=model.version,
            score_threshold=model.score_threshold,
            label_sets=label_sets_of(list(self._detector.models.values())),
            pending=sum([await worker.lag() for worker in self._workers]),
        )

    async def Relabel(self, request: pb.RelabelRequest, context: Context) -> AsyncIterator[pb.RelabelProgress]:
        if self._relabeller is None:
            raise NotAvailable("this detector knows no search service, whose images it could label")
        async for progress in self._relabeller.run(relabel_options_of(request), request.since_ms):
            yield progress
