"""Composition of the search service."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from kindred.search.v1 import search_pb2, search_pb2_grpc
from kindred_kit.lifecycle import BackgroundTasks
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.rpc.server import Registration
from kindred_search.arranging import Arranger
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.classes import Classes
from kindred_search.collapsing import Collapser
from kindred_search.collecting import Collector
from kindred_search.cursors import RankedLists
from kindred_search.doctor import Doctor
from kindred_search.indexes import Indexes
from kindred_search.ingest import Ingest
from kindred_search.precision import Calibrations, Precision
from kindred_search.projector import Projector
from kindred_search.ranking import Query, Ranker
from kindred_search.reindex import Reindexer
from kindred_search.relay import Relay
from kindred_search.searching import Searcher
from kindred_search.servicer import SearchServicer
from kindred_search.settings import SearchSettings
from kindred_search.strays import drop_strays
from kindred_search.vectors.port import VectorStore


@dataclass(frozen=True)
class Adapters:
    """What the service needs from outside; whoever made them closes them. `engine`: see catalogue.engine."""

    engine: Engine
    vectors: VectorStore
    blobs: BlobStore
    bus: Bus


@dataclass
class App:
    registrations: Sequence[Registration]
    catalogue: Catalogue
    vectors: VectorStore
    indexes: Indexes
    relay: Relay
    projector: Projector
    reindexer: Reindexer
    tasks: BackgroundTasks

    async def start(self) -> None:
        """Bring the schema up to date, find the index, begin to publish and to project."""
        await self.catalogue.open()
        await drop_strays(self.catalogue, self.vectors)
        await self.projector.open()
        self.tasks.start(self.relay.run(), "relay")
        self.tasks.start(self.projector.run(), "projector")
        self.tasks.start(self.projector.run_index_builds(), "index-builds")

    async def aclose(self) -> None:
        """What is not published or projected yet waits in the catalogue for the next start."""
        await self.tasks.aclose()
        await self.projector.aclose()
        await self.reindexer.aclose()
        await self.catalogue.aclose()


async def build(settings: SearchSettings, adapters: Adapters) -> App:
    """Wire the service together; nothing runs before `start`."""
    catalogue = Catalogue(adapters.engine)
    indexes = Indexes()
    relay = Relay(catalogue, adapters.bus, settings.outbox_poll)
    projector = Projector(
        catalogue,
        adapters.vectors,
        adapters.blobs,
        indexes,
        settings.projector_coalesce,
        settings.projector_interval,
        settings.projector_poll,
    )
    reindexer = Reindexer(catalogue, adapters.vectors, projector, indexes, settings.reindex_drop_grace)
    lists: RankedLists[Query] = RankedLists(settings.ranked_list_ttl.total_seconds(), settings.ranked_lists)
    arranger = Arranger(catalogue, Collapser(catalogue, adapters.blobs))
    ranker = Ranker(catalogue, adapters.vectors, projector.replace_damaged)
    classes = Classes(catalogue, settings.label_sets)
    calibrations = Calibrations(settings.calibrations_dir, settings.calibration_files)
    servicer = SearchServicer(
        catalogue=catalogue,
        vectors=adapters.vectors,
        indexes=indexes,
        ingest=Ingest(catalogue, adapters.blobs, relay, projector),
        searcher=Searcher(catalogue, ranker, arranger, indexes, lists),
        collector=Collector(catalogue, ranker, indexes),
        reindexer=reindexer,
        doctor=Doctor(catalogue, adapters.vectors, adapters.blobs, indexes, projector, relay),
        classes=classes,
        precision=Precision(catalogue, classes, calibrations),
    )
    name = search_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name
    registration = Registration(name, servicer, search_pb2_grpc.add_SearchServiceServicer_to_server)
    return App(
        [registration], catalogue, adapters.vectors, indexes, relay, projector, reindexer, BackgroundTasks("search")
    )
