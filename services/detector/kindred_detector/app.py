"""Composition of the detector."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc

from kindred.detector.v1 import detector_pb2, detector_pb2_grpc
from kindred.search.v1 import search_pb2_grpc
from kindred_detector.detection import Detector
from kindred_detector.relabelling import Relabeller
from kindred_detector.servicer import DetectorServicer
from kindred_detector.settings import DetectorSettings
from kindred_detector.worker import LabelWorker
from kindred_kit.cores import available_cores
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.models import ModelManifest, ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.ports.inference import Inference, all_ready
from kindred_kit.rpc.server import Registration
from kindred_kit.worker import Worker, WorkerSettings


@dataclass(frozen=True)
class Adapters:
    """What the detector needs from outside. `bus` and `search` (a channel) are for the workers; without: none run."""

    inference: Inference
    models: ModelSet
    blobs: BlobStore
    bus: Bus | None = None
    search: grpc.aio.Channel | None = None


class DetectorApp:
    """`registrations` are served by the caller; `start` begins a worker for each further label set."""

    def __init__(
        self, registrations: Sequence[Registration], workers: Sequence[Worker], pool: ThreadPoolExecutor
    ) -> None:
        self.registrations = registrations
        self._workers = workers
        self._pool = pool
        self._tasks = BackgroundTasks("detector")

    async def start(self) -> None:
        for number, worker in enumerate(self._workers):
            self._tasks.start(worker.run(), f"detector-worker-{number}")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        self._pool.shutdown(cancel_futures=True)


async def build(settings: DetectorSettings, adapters: Adapters) -> DetectorApp:
    """Raises ModelInvalid when the profile has no model that detects."""
    models = adapters.models.detectors(settings.profile)
    cores = settings.cores or available_cores()
    pool = ThreadPoolExecutor(cores, thread_name_prefix="pixels")
    detector = Detector(models, adapters.inference, pool, settings.limits)
    workers = _workers(settings, adapters, detector, cores)
    name = detector_pb2.DESCRIPTOR.services_by_name["DetectorService"].full_name
    servicer = DetectorServicer(detector, adapters.blobs, workers, _relabeller(adapters, detector, cores))
    registration = Registration(
        name,
        servicer,
        detector_pb2_grpc.add_DetectorServiceServicer_to_server,
        lambda: all_ready(adapters.inference, (detector.default.name,)),
    )
    return DetectorApp([registration], workers, pool)


def _relabeller(adapters: Adapters, detector: Detector, cores: int) -> Relabeller | None:
    if adapters.search is None:
        return None
    # one more than there are cores: the next image is decoded while the others are looked at
    return Relabeller(detector, adapters.blobs, search_pb2_grpc.SearchServiceStub(adapters.search), cores + 1)


def _workers(settings: DetectorSettings, adapters: Adapters, detector: Detector, cores: int) -> list[Worker]:
    if adapters.bus is None or adapters.search is None:
        return []
    search = search_pb2_grpc.SearchServiceStub(adapters.search)
    labellers = [
        LabelWorker(model, detector, adapters.blobs, search) for model in _labelling(list(detector.models.values()))
    ]
    return [
        Worker(
            WorkerSettings(settings.topic, labeller.group, concurrency=2 * cores),
            adapters.bus,
            labeller.handle,
            labeller.on_poison,
        )
        for labeller in labellers
    ]


def _labelling(models: Sequence[ModelManifest]) -> list[ModelManifest]:
    """The first model of each label set, but for the sets that a pipeline finds in the embedder's pass."""
    first: dict[str, ModelManifest] = {}
    for model in models:
        first.setdefault(model.label_set, model)
    by_pipeline = {model.label_set for model in models if model.kind == "image_pipeline"}
    return [model for label_set, model in first.items() if label_set not in by_pipeline]
