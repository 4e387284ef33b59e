"""Events of accepted images -> labels of one more label set in the catalogue.

The set that the embedder's pipeline finds in its own pass is not this worker's. Each model is a consumer group of its
own, so that a new model or version reads the log for itself.
"""

from kindred.events.v1 import events_pb2 as events
from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_detector.convert import detections_of
from kindred_detector.detection import Detector
from kindred_detector.options import DetectOptions
from kindred_kit.errors import BlobNotFound, ImageError, KindredError
from kindred_kit.models import ModelManifest
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import get_logger


class LabelWorker:
    """Handles one event at a time with one model; see kindred_kit.worker for the loop around it."""

    def __init__(
        self,
        model: ModelManifest,
        detector: Detector,
        blobs: BlobStore,
        search: "search_pb2_grpc.SearchServiceAsyncStub",
    ) -> None:
        self._model = model
        self._detector = detector
        self._blobs = blobs
        self._search = search
        self._log = get_logger(self.group)

    @property
    def group(self) -> str:
        return f"detector-worker.{self._model.name}.{self._model.version}"

    async def handle(self, event: events.ImageEvent) -> None:
        """Idempotent: the catalogue replaces the labels of the set, or ignores what is stale."""
        if event.kind != events.ImageEvent.KIND_INGESTED:
            return
        try:
            data = await self._blobs.get(event.blob_key)
            detected = await self._detector.detect(data, DetectOptions(models=(self._model.name,)))
        except (BlobNotFound, ImageError) as error:
            # the embedder reports the same image; it is dead-lettered once
            self._log.info("not labelled", image_id=event.image_id, code=error.code)
            return
        derived = pb.Derived(image_id=event.image_id, seq=event.seq)
        derived.labels.add(
            label_set=self._model.label_set,
            model_name=self._model.name,
            model_version=self._model.version,
            detections=detections_of(detected),
        )
        await self._search.PutDerived(pb.PutDerivedRequest(images=[derived]))

    async def on_poison(self, event: events.ImageEvent, error: KindredError) -> None:
        """The image itself is fine: it stays searchable, without labels of this set."""
        self._log.error("not labelled", image_id=event.image_id, code=error.code, detail=error.detail)
