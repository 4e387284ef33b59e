"""Small servicers that implement the contracts in memory, for tests of the gateway over real gRPC."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kindred.detector.v1 import detector_pb2, detector_pb2_grpc
from kindred.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from kindred.search.v1 import search_pb2, search_pb2_grpc
from kindred_kit.embeddings import embedding_message
from kindred_kit.errors import CursorInvalid, ImageNotFound, PrecisionUnavailable, SpaceMismatch, UnknownLabel
from kindred_kit.imaging import ImageLimits, RegionN, crop, decode
from kindred_kit.ports.blobs import BlobStore

LIMITS = ImageLimits()
CLASSES = ("person", "dog", "cat")


def _embedding(values: "np.ndarray[Any, Any]") -> embedder_pb2.Embedding:
    norm = float(np.linalg.norm(values)) or 1.0
    return embedding_message((values / norm).astype(np.float32))


@dataclass
class FakeEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """A text's vector comes from its hash, an image's from its mean colour."""

    blobs: BlobStore
    space: str = "fake-1"
    requests: list[Any] = field(default_factory=list)
    error: Exception | None = None

    async def EmbedText(self, request: Any, context: Any) -> Any:
        self._begin(request)
        vectors = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:4], np.uint8) + 1.0 for text in request.texts]
        return embedder_pb2.EmbedTextResponse(
            embeddings=[_embedding(vector) for vector in vectors],
            space=self.space,
            model_name="fake_text",
            model_version="1",
        )

    async def EmbedImage(self, request: Any, context: Any) -> Any:
        self._begin(request)
        data = request.data or await self.blobs.get(request.blob_key)
        pixels = decode(data, LIMITS)
        height, width = pixels.shape[:2]
        if request.HasField("region"):
            region = request.region
            pixels = crop(pixels, RegionN(region.x, region.y, region.w, region.h))
        mean = np.append(pixels.reshape(-1, 3).mean(axis=0), 1.0)
        return embedder_pb2.EmbedImageResponse(
            embedding=_embedding(mean),
            space=self.space,
            model_name="fake_image",
            model_version="1",
            width=width,
            height=height,
        )

    async def GetInfo(self, request: Any, context: Any) -> Any:
        return embedder_pb2.GetInfoResponse(
            space=self.space, dimension=4, profile="lite", image_model="fake_image/1", text_model="fake_text/1"
        )

    def _begin(self, request: Any) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise self.error


@dataclass
class FakeDetector(detector_pb2_grpc.DetectorServiceServicer):
    blobs: BlobStore
    requests: list[Any] = field(default_factory=list)

    async def Detect(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        height, width = decode(request.data or await self.blobs.get(request.blob_key), LIMITS).shape[:2]
        return detector_pb2.DetectResponse(
            detections=[dog()],
            label_set="coco-80",
            model_name="fake_detector",
            model_version="1",
            width=width,
            height=height,
        )

    async def GetInfo(self, request: Any, context: Any) -> Any:
        label_set = detector_pb2.LabelSet(name="coco-80", classes=CLASSES)
        return detector_pb2.GetInfoResponse(model_name="fake_detector", model_version="1", label_sets=[label_set])


def dog() -> detector_pb2.Detection:
    """The left half of an image, upper three quarters."""
    box = detector_pb2.Box(x_min=0, y_min=0, x_max=0.5, y_max=0.75)
    return detector_pb2.Detection(box=box, class_id=1, class_name="dog", score=0.875, source="single", agreement=1)


@dataclass
class FakeSearch(search_pb2_grpc.SearchServiceServicer):
    """Accepts at once; `state` is what an accepted image then has. Hits come in the order of acceptance."""

    state: Any = search_pb2.STATE_INDEXED
    space: str = "fake-1"
    records: dict[str, Any] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    principals: list[str] = field(default_factory=list)
    error: Exception | None = None
    polls_until_indexed: int = 0

    async def AcceptImages(self, request: Any, context: Any) -> Any:
        self._begin(request)
        results = []
        for image in request.images:
            created = image.image_id not in self.records
            self.records[image.image_id] = self._record(image)
            results.append(
                search_pb2.AcceptImagesResponse.Result(
                    image_id=image.image_id, created=created, seq=1, state=self.state
                )
            )
        return search_pb2.AcceptImagesResponse(results=results)

    async def GetStates(self, request: Any, context: Any) -> Any:
        self._begin(request)
        if self.polls_until_indexed and self.polls_until_indexed <= len(self.requests):
            self.state = search_pb2.STATE_INDEXED
        return search_pb2.GetStatesResponse(
            states=[
                search_pb2.GetStatesResponse.ImageState(
                    image_id=image_id, state=self.state, failure=self.records[image_id].failure
                )
                for image_id in request.image_ids
                if image_id in self.records
            ]
        )

    async def DeleteImages(self, request: Any, context: Any) -> Any:
        self._begin(request)
        deleted = [image_id for image_id in request.image_ids if self.records.pop(image_id, None) is not None]
        return search_pb2.DeleteImagesResponse(deleted_ids=deleted)

    async def GetImages(self, request: Any, context: Any) -> Any:
        self._begin(request)
        known = [self.records[image_id] for image_id in request.image_ids if image_id in self.records]
        return search_pb2.GetImagesResponse(images=known)

    async def Search(self, request: Any, context: Any) -> Any:
        self._begin(request)
        if request.space and request.space != self.space:
            raise SpaceMismatch("another space")
        for term in request.filter.labels_all:
            if term.class_name not in CLASSES:
                raise UnknownLabel(f"no class {term.class_name}", pointer="/filter/labels/all/0")
        for term in request.terms:
            if term.image_id and term.image_id not in self.records:
                raise ImageNotFound("no such image")
        start = 0
        if request.cursor:
            digest, _, position = request.cursor.rpartition(":")
            if digest != request.query_digest:
                raise CursorInvalid("the cursor belongs to another query")
            start = int(position)
        ids = [image_id for image_id in self.records if image_id not in request.exclude_ids]
        page = ids[start : start + request.limit]
        more = len(ids) > start + request.limit
        score = 0.5 if request.terms or request.cursor else None
        copies = ["c" * 64] if request.collapse_duplicates else []
        count = search_pb2.ListLabelsResponse.LabelCount(label_set="coco-80", class_name="dog", images=2, boxes=3)
        return search_pb2.SearchResponse(
            hits=[search_pb2.Hit(image_id=i, score=score, image=self.records[i], duplicate_ids=copies) for i in page],
            facets=[count] if request.facets else [],
            facets_over=len(ids) if request.facets else 0,
            next_cursor=f"{request.query_digest}:{start + request.limit}" if more else "",
            total=len(ids),
            index_version="v1",
            space=self.space,
        )

    async def ListLabels(self, request: Any, context: Any) -> Any:
        self._begin(request)
        count = search_pb2.ListLabelsResponse.LabelCount(label_set="coco-80", class_name="dog", images=2, boxes=3)
        return search_pb2.ListLabelsResponse(labels=[count])

    async def GetLabelThresholds(self, request: Any, context: Any) -> Any:
        """Dogs are known to be as precise as .9; nothing else is known."""
        self._begin(request)
        unknown = [name for name in request.classes if name != "dog"]
        if unknown or request.min_precision > 0.9:
            raise PrecisionUnavailable(f"{unknown or 'no class'} can't be so precise")
        return search_pb2.GetLabelThresholdsResponse(thresholds={"dog": 0.625}, without=["person", "cat"])

    async def AddLabelRequest(self, request: Any, context: Any) -> Any:
        self._begin(request)
        known = ["coco-80"] if request.class_name in CLASSES else []
        return search_pb2.AddLabelRequestResponse(
            class_name=request.class_name, label_sets=known, requests=0 if known else 7, closest=["cat"]
        )

    async def GetStatus(self, request: Any, context: Any) -> Any:
        self._begin(request)
        return search_pb2.GetStatusResponse(images=len(self.records), indexed=len(self.records), space=self.space)

    def _begin(self, request: Any) -> None:
        self.requests.append(request)
        self.principals.append(request.principal.owner)
        if self.error is not None:
            raise self.error

    def _record(self, image: Any) -> Any:
        label = search_pb2.LabelledDetection(
            label_set="coco-80", model_name="fake_detector", model_version="1", detection=dog()
        )
        return search_pb2.ImageRecord(
            image_id=image.image_id,
            width=image.width,
            height=image.height,
            format=image.format,
            byte_size=image.byte_size,
            origin=image.origin,
            taken_at=image.taken_at,
            ingested_at_ms=1_700_000_000_000,
            state=self.state,
            rights=image.claim.rights,
            source=image.claim.source,
            file_name=image.claim.file_name,
            own=True,
            blob_key=image.blob_key,
            labels=[label],
            visibility=image.claim.visibility,
            generation=image.generation if image.HasField("generation") else None,
            caption=image.claim.caption,
        )
