"""kindred.search.v1.SearchService."""

from collections.abc import AsyncIterator
from typing import Any

from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_kit.errors import InvalidArgument
from kindred_search import backlog, convert, convert_search
from kindred_search.catalogue import reading, takedowns
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.classes import Classes
from kindred_search.collecting import PART, Collector
from kindred_search.doctor import Doctor
from kindred_search.domain import WHOLE
from kindred_search.indexes import Indexes
from kindred_search.ingest import Ingest
from kindred_search.label_requests import LabelRequests
from kindred_search.precision import Precision
from kindred_search.reindex import Reindexer
from kindred_search.searching import Searcher
from kindred_search.vectors.port import VectorStore

_MAX_BATCH = 1_000
_MIN_PREFIX, _ID_LENGTH = 4, 64
_PREFIX_MATCHES = 10


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    def __init__(
        self,
        catalogue: Catalogue,
        vectors: VectorStore,
        indexes: Indexes,
        ingest: Ingest,
        searcher: Searcher,
        collector: Collector,
        reindexer: Reindexer,
        doctor: Doctor,
        classes: Classes,
        precision: Precision,
    ) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._indexes = indexes
        self._ingest = ingest
        self._searcher = searcher
        self._collector = collector
        self._reindexer = reindexer
        self._doctor = doctor
        self._classes = classes
        self._precision = precision
        self._label_requests = LabelRequests(catalogue, classes)

    async def AcceptImages(self, request: pb.AcceptImagesRequest, context: Any) -> pb.AcceptImagesResponse:
        owner = convert.owner_of(request.principal)
        _bound(len(request.images))
        results = await self._ingest.accept(owner, [convert.new_image(image) for image in request.images])
        return pb.AcceptImagesResponse(results=[convert.accepted_pb(result) for result in results])

    async def FindReferences(self, request: pb.FindReferencesRequest, context: Any) -> pb.FindReferencesResponse:
        owner = convert.owner_of(request.principal)
        found = await self._catalogue.read(reading.references, owner, list(request.blob_keys))
        return pb.FindReferencesResponse(references=[convert.reference_pb(reference) for reference in found])

    async def PutDerived(self, request: pb.PutDerivedRequest, context: Any) -> pb.PutDerivedResponse:
        _bound(len(request.images))
        return pb.PutDerivedResponse(stale=await self._ingest.put_derived([convert.derived(i) for i in request.images]))

    async def PutFailure(self, request: pb.PutFailureRequest, context: Any) -> pb.PutFailureResponse:
        said = convert.failure(request.failure)
        stale = await self._catalogue.put_failure(convert.image_id(request.image_id), request.seq, said)
        return pb.PutFailureResponse(stale=stale)

    async def GetStates(self, request: pb.GetStatesRequest, context: Any) -> pb.GetStatesResponse:
        owner = convert.owner_of(request.principal)
        ids = convert.image_ids(request.image_ids)
        found = await self._catalogue.read(reading.states, owner, ids)
        return pb.GetStatesResponse(states=[convert.state_pb(found[i]) for i in ids if i in found])

    async def DeleteImages(self, request: pb.DeleteImagesRequest, context: Any) -> pb.DeleteImagesResponse:
        owner = convert.owner_of(request.principal)
        _bound(len(request.image_ids))
        deleted = await self._ingest.delete(owner, convert.image_ids(request.image_ids))
        return pb.DeleteImagesResponse(deleted_ids=deleted)

    async def GetImages(self, request: pb.GetImagesRequest, context: Any) -> pb.GetImagesResponse:
        owner = convert.owner_of(request.principal)
        _bound(len(request.image_ids))
        ids = convert.image_ids(request.image_ids)
        found = await self._catalogue.records(owner, ids)
        return pb.GetImagesResponse(images=[convert.record_pb(found[i]) for i in ids if i in found])

    async def ResolvePrefix(self, request: pb.ResolvePrefixRequest, context: Any) -> pb.ResolvePrefixResponse:
        owner = convert.owner_of(request.principal)
        prefix = request.prefix.lower()
        if not _MIN_PREFIX <= len(prefix) <= _ID_LENGTH or not set(prefix) <= set("0123456789abcdef"):
            raise InvalidArgument("the beginning of an image id has 4 to 64 hex digits")
        found = await self._catalogue.read(reading.resolve_prefix, owner, prefix, _PREFIX_MATCHES)
        return pb.ResolvePrefixResponse(image_ids=found)

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        wanted = await convert_search.search_request(request, self._precision.resolve)
        return convert_search.page_pb(await self._searcher.search(wanted))

    async def Collect(self, request: pb.CollectRequest, context: Any) -> AsyncIterator[pb.CollectResponse]:
        asked, limit = await convert_search.collect_request(request, self._precision.resolve)
        if request.among_ids:
            _bound(len(request.among_ids), convert_search.MAX_COLLECTED)
            ranked = await self._collector.among(asked, convert.image_ids(request.among_ids), limit)
        else:
            ranked = await self._collector.ranked(asked, limit)
        for start in range(0, len(ranked), PART):
            yield convert_search.collected_pb(ranked, start, start + PART)

    async def GetEmbeddings(
        self, request: pb.GetEmbeddingsRequest, context: Any
    ) -> AsyncIterator[pb.GetEmbeddingsResponse]:
        owner = convert.owner_of(request.principal)
        _bound(len(request.image_ids), convert_search.MAX_VECTORS)
        ids = convert.image_ids(request.image_ids)
        async for found, vectors in self._collector.vectors(owner, ids, request.view or WHOLE, request.space):
            yield pb.GetEmbeddingsResponse(image_ids=found, vectors=vectors.tobytes(), dimension=vectors.shape[1])

    async def ListLabels(self, request: pb.ListLabelsRequest, context: Any) -> pb.ListLabelsResponse:
        owner = convert.owner_of(request.principal)
        counted = await self._catalogue.read(reading.label_counts, owner)
        return pb.ListLabelsResponse(labels=[convert.label_count_pb(count) for count in counted])

    async def GetLabelThresholds(
        self, request: pb.GetLabelThresholdsRequest, context: Any
    ) -> pb.GetLabelThresholdsResponse:
        convert.owner_of(request.principal)
        return await self._precision.answer(request)

    async def AddLabelRequest(self, request: pb.AddLabelRequestRequest, context: Any) -> pb.AddLabelRequestResponse:
        return await self._label_requests.add(convert.owner_of(request.principal), request.class_name)

    async def ListLabelRequests(
        self, request: pb.ListLabelRequestsRequest, context: Any
    ) -> pb.ListLabelRequestsResponse:
        return await self._label_requests.listed()

    async def ListBacklog(self, request: pb.ListBacklogRequest, context: Any) -> pb.ListBacklogResponse:
        return await backlog.listed(self._catalogue, request)

    async def TakeDown(self, request: pb.TakeDownRequest, context: Any) -> pb.TakeDownResponse:
        _bound(len(request.image_ids))
        ids, reason = convert.image_ids(request.image_ids), convert.reason(request.reason)
        return pb.TakeDownResponse(removed_ids=await self._ingest.take_down(ids, reason))

    async def ListTakeDowns(self, request: pb.ListTakeDownsRequest, context: Any) -> pb.ListTakeDownsResponse:
        _bound(max(request.limit, 1))
        found = await self._catalogue.read(takedowns.page, request.after_id, max(request.limit, 1))
        return pb.ListTakeDownsResponse(entries=[convert.take_down_pb(entry) for entry in found])

    async def UndoTakeDowns(self, request: pb.UndoTakeDownsRequest, context: Any) -> pb.UndoTakeDownsResponse:
        _bound(len(request.image_ids))
        undone = await self._catalogue.write(takedowns.undo, convert.image_ids(request.image_ids))
        return pb.UndoTakeDownsResponse(undone_ids=undone)

    async def Inspect(self, request: pb.InspectRequest, context: Any) -> AsyncIterator[pb.InspectResponse]:
        if request.min_age_ms < 0:
            raise InvalidArgument("an age is not negative")
        async for found in self._doctor.inspect(request.min_age_ms, fix=request.fix):
            yield pb.InspectResponse(kind=found.kind, subject=found.subject, fixed=found.fixed)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        owner = convert.owner_of(request.principal)
        counts = await self._catalogue.read(reading.counts, owner)
        active = self._indexes.active
        return pb.GetStatusResponse(
            images=counts.images,
            indexed=counts.indexed,
            pending=counts.pending,
            failed=counts.failed,
            claims=counts.claims,
            outbox=counts.outbox,
            space=active.space if active else "",
            index_version=self._indexes.version,
            index_rows=await self._vectors.count(active.name) if active else 0,
            dimension=active.dimension if active else 0,
        )

    async def Reindex(self, request: pb.ReindexRequest, context: Any) -> AsyncIterator[pb.ReindexProgress]:
        async for progress in self._reindexer.run(request.space):
            yield pb.ReindexProgress(
                done=progress.done,
                total=progress.total,
                finished=progress.finished,
                index_version=progress.index_version,
            )


def _bound(count: int, most: int = _MAX_BATCH) -> None:
    if count > most:
        raise InvalidArgument(f"at most {most:,} images in one call")
