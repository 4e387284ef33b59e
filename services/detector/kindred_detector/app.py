"""Composition of the detector."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kindred.detector.v1 import detector_pb2, detector_pb2_grpc
from kindred_detector.detection import Detector
from kindred_detector.servicer import DetectorServicer
from kindred_detector.settings import DetectorSettings
from kindred_kit.cores import available_cores
from kindred_kit.models import ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.inference import Inference
from kindred_kit.rpc.server import Registration


@dataclass(frozen=True)
class Adapters:
    """What the detector needs from outside."""

    inference: Inference
    models: ModelSet
    blobs: BlobStore


class DetectorApp:
    """`registrations` are served by the caller."""

    def __init__(self, registrations: Sequence[Registration], pool: ThreadPoolExecutor) -> None:
        self.registrations = registrations
        self._pool = pool

    async def start(self) -> None:
        """Nothing runs in the background: at ingest, a pipeline model of the embedder writes the labels."""

    async def aclose(self) -> None:
        self._pool.shutdown(cancel_futures=True)


async def build(settings: DetectorSettings, adapters: Adapters) -> DetectorApp:
    """Raises ModelInvalid when the profile has no model that detects."""
    models = adapters.models.detectors(settings.profile)
    pool = ThreadPoolExecutor(settings.cores or available_cores(), thread_name_prefix="pixels")
    detector = Detector(models, adapters.inference, pool, settings.limits)
    name = detector_pb2.DESCRIPTOR.services_by_name["DetectorService"].full_name
    servicer = DetectorServicer(detector, adapters.blobs)
    registration = Registration(name, servicer, detector_pb2_grpc.add_DetectorServiceServicer_to_server)
    return DetectorApp([registration], pool)
