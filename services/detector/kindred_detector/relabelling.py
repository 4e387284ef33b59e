"""Label the catalogue's images again: with other models, or with more looks.

The catalogue replaces an image's labels of the set in one transaction, so that a search sees the old ones or the new
ones, and knows for each image how its labels were made: a call that was stopped goes on when it is made again.
"""

import asyncio
from collections.abc import AsyncIterator

from kindred.detector.v1 import detector_pb2 as pb
from kindred.search.v1 import search_pb2, search_pb2_grpc
from kindred_detector.convert import detections_of
from kindred_detector.detection import Detector
from kindred_detector.options import DetectOptions
from kindred_kit.backlog import Image, Step, work_off
from kindred_kit.errors import Unavailable
from kindred_kit.image_bytes import image_bytes
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import get_logger

_TOLD_FAILURES = 100


class Relabeller:
    """One run at a time. `concurrency`: images looked at side by side; a query waits for as many at the most."""

    def __init__(
        self,
        detector: Detector,
        blobs: BlobStore,
        search: "search_pb2_grpc.SearchServiceAsyncStub",
        concurrency: int,
    ) -> None:
        self._detector = detector
        self._blobs = blobs
        self._search = search
        self._concurrency = concurrency
        self._running = asyncio.Lock()
        self._log = get_logger("detector")

    async def run(self, options: DetectOptions, since_ms: int) -> AsyncIterator[pb.RelabelProgress]:
        """Look at each image whose labels are of another run; a message after each.

        Raises InvalidArgument for models that can't be asked, Unavailable while another relabelling runs.
        """
        options.check()
        models = options.chosen(self._detector.models, self._detector.default)
        run, label_set = str(options.run(models)), models[0].label_set
        if self._running.locked():
            raise Unavailable("a relabelling is running already")
        async with self._running:
            lacking = search_pb2.LabelRun(label_set=label_set, run=run)
            request = search_pb2.ListBacklogRequest(labels=lacking, since_ms=since_ms)
            step = Step(0, 0)
            async for step in work_off(
                self._search, request, lambda image: self._relabel(image, options, run), self._concurrency
            ):
                yield self._progress(step, label_set, run)
            yield pb.RelabelProgress(
                done=step.done, total=step.total, failed=step.failed, label_set=label_set, run=run, finished=True
            )

    async def _relabel(self, image: Image, options: DetectOptions, run: str) -> None:
        data = await image_bytes(self._blobs, image.image_id, image.blob_key)
        detected = await self._detector.detect(data, options)
        derived = search_pb2.Derived(image_id=image.image_id, seq=image.seq)
        derived.labels.add(
            label_set=detected.models[0].label_set,
            model_name="+".join(model.name for model in detected.models),
            model_version="+".join(model.version for model in detected.models),
            detections=detections_of(detected),
            run=run,
        )
        await self._search.PutDerived(search_pb2.PutDerivedRequest(images=[derived]))

    def _progress(self, step: Step, label_set: str, run: str) -> pb.RelabelProgress:
        progress = pb.RelabelProgress(
            done=step.done, total=step.total, failed=step.failed, label_set=label_set, run=run
        )
        if step.error is not None:
            code, detail = step.error.code, step.error.detail
            self._log.warning("keeps its old labels", image_id=step.image_id, code=code, detail=detail)
            if step.failed <= _TOLD_FAILURES:
                progress.failures.add(image_id=step.image_id, code=code, detail=detail)
        return progress
