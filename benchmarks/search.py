"""Search on 100,000 vectors with a label filter: recall against exact search, and latency beside bare LanceDB.

The gallery is a real one whose catalogue is filled directly: vectors are mixes of two real photos' embeddings with some
noise, so they lie as photos of the lite space do; labels that let 50, 10 and 1 % of the images pass go to the images
nearest to a random direction, noise added, so that a filter cuts out a region as real labels do. The last 3,000 arrive
after the index was built and are not in it. Each query is asked of the service (gRPC, visibility filter, records of the
hits with their labels) and of LanceDB itself (same table, same filter, same search breadth) right after each other, in
turns of who goes first; recall is against numpy over all rows.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, insert

from benchmarks.gallery import shared
from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.embeddings import embedding_message, embedding_vector
from kindred_kit.telemetry import configure_logging
from kindred_search.catalogue import rows, tables
from kindred_search.catalogue.collections import ensure_collection
from kindred_search.catalogue.engine import writing
from kindred_search.domain import WHOLE, Claim, Detection, Rights, State, Visibility
from kindred_search.vectors.lancedb_store import LanceDbStore, Tuning
from kindred_standalone.compose import Adapters
from kindred_standalone.connect import LOCAL, Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.settings import StandaloneSettings

GOAL_RECALL, GOAL_OVERHEAD_MS = 0.98, 3.0
TOP_K = 10
NOISE = 0.02
"""Length of the noise vector's entries before normalising; a mix of two photos differs from both by far more."""
SHARES = {"person": 0.5, "dog": 0.1, "kite": 0.01}
CLASS_IDS = {"person": 0, "dog": 16, "kite": 33}
PHOTOS = 600

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    """Milliseconds are medians over all queries; `overhead_ms` is the median of the rounds' differences."""

    filter: str
    recall: float
    service_ms: float
    bare_ms: float
    overhead_ms: float


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--unindexed", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=20, help="queries a round and filter (20)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    configure_logging(level="error")
    console, held = Console(stderr=True), []

    def keep(adapters: Adapters) -> Adapters:
        held.append(adapters)
        return adapters

    with tempfile.TemporaryDirectory() as folder:
        directory = DataDirectory.at(Path(folder) / "gallery")
        async with Session.of(directory, StandaloneSettings(), command="benchmark", wrap=keep) as session:
            photos = sorted(shared("data", "coco_captioned", "images").glob("*.jpg"))[:PHOTOS]
            console.print(f"embedding {len(photos)} photos")
            real, space = await embeddings_of(session, photos)
            gallery = Gallery(held[0], real, space)
            console.print(f"filling the catalogue with {options.rows:,} images and building the index")
            await gallery.fill(session, options.rows)
            await gallery.wait_for_vector_index()
            console.print(f"{options.unindexed:,} more, beside the index")
            await gallery.fill(session, options.unindexed)
            unindexed = await gallery.unindexed()
            results = []
            for name in (None, *SHARES):
                results.append(await measure(session, gallery, name, options.rounds, options.queries))
                console.print(f"  {results[-1].filter}: done")
    answer = {"rows": options.rows + options.unindexed, "unindexed": unindexed, "results": [asdict(r) for r in results]}
    print(json.dumps(answer, indent=2)) if options.json else show(answer, results)


async def embeddings_of(session: Session, photos: Sequence[Path]) -> tuple[Floats, str]:
    """float32 [n, d] of real photos, as the embedder gives them, and their space."""
    vectors, space = [], ""
    for photo in photos:
        answer = await session.node.embedder.EmbedImage(embedder_pb2.EmbedImageRequest(data=photo.read_bytes()))
        vectors.append(embedding_vector(answer.embedding))
        space = answer.space
    return np.stack(vectors), space


class Gallery:
    """Synthetic images in the catalogue, and what exact search needs to know of them."""

    def __init__(self, adapters: Adapters, real: Floats, space: str) -> None:
        self._engine: Engine = adapters.engine
        assert isinstance(adapters.vectors, LanceDbStore)
        self.store = adapters.vectors
        self._real, self._space = real, space
        self._rng = np.random.default_rng(0)
        self._directions = {name: self._unit(self._rng.standard_normal((1, real.shape[1])))[0] for name in SHARES}
        self.vectors = np.empty((0, real.shape[1]), np.float32)
        self.ids: list[str] = []
        self.passing = {name: np.empty(0, bool) for name in SHARES}

    @staticmethod
    def _unit(vectors: NDArray[Any]) -> Floats:
        units: Floats = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
        return units

    def mixes(self, count: int) -> Floats:
        """float32 [count, d]: two real photos each, and noise."""
        one, other = self._rng.integers(len(self._real), size=(2, count))
        weight = self._rng.uniform(0, 1, (count, 1)).astype(np.float32)
        noise = self._rng.standard_normal((count, self._real.shape[1])).astype(np.float32) * NOISE
        return self._unit(weight * self._real[one] + (1 - weight) * self._real[other] + noise)

    async def fill(self, session: Session, count: int) -> None:
        """Add images to the catalogue and wait until the projector has brought them all into the index."""
        vectors = self.mixes(count).astype(np.float16).astype(np.float32)  # as the catalogue keeps them
        new_passing = {name: self._passing(vectors, name) for name in SHARES}
        for name, passing in new_passing.items():
            self.passing[name] = np.concatenate([self.passing[name], passing])
        first = len(self.ids)
        self.ids += [hashlib.sha256(f"synthetic {first + n}".encode()).hexdigest() for n in range(count)]
        self.vectors = np.concatenate([self.vectors, self._unit(vectors)])
        await asyncio.to_thread(self._insert, first, new_passing)
        while True:
            status = await session.node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL), timeout=120)
            if status.indexed == len(self.ids):
                return
            await asyncio.sleep(1)

    def _passing(self, vectors: Floats, name: str) -> NDArray[np.bool_]:
        """The share of images nearest to the label's direction, with noise."""
        affinity = vectors @ self._directions[name]
        affinity = affinity + self._rng.standard_normal(len(vectors)).astype(np.float32) * affinity.std()
        return np.asarray(affinity >= np.quantile(affinity, 1 - SHARES[name]))

    def _insert(self, first: int, passing: dict[str, NDArray[np.bool_]]) -> None:
        claim = Claim(Rights(license="by"), Visibility.PUBLIC, "", "synthetic.jpg")
        with writing(self._engine) as connection:
            ensure_collection(connection, self._space, WHOLE, self._real.shape[1])
            for start in range(first, len(self.ids), 2000):
                part = range(start, min(start + 2000, len(self.ids)))
                ids = [self.ids[n] for n in part]
                connection.execute(insert(tables.images), [_image_row(image_id) for image_id in ids])
                connection.execute(insert(tables.claims), [rows.claim_values("local", i, claim, 1) for i in ids])
                connection.execute(insert(tables.embeddings), [self._embedding_row(n) for n in part])
                labels = [
                    rows.detection_values(self.ids[n], ordinal, _detection(name))
                    for n in part
                    for ordinal, name in enumerate(name for name in SHARES if passing[name][n - first])
                ]
                connection.execute(insert(tables.detections), labels)

    def _embedding_row(self, n: int) -> dict[str, Any]:
        vector = rows.encode_vector(self.vectors[n])
        model = {"model_name": "lite_image", "model_version": "1"}
        return {"image_id": self.ids[n], "view": WHOLE, "space": self._space, "vector": vector, **model}

    async def table(self) -> Any:
        """The LanceDB table behind the service."""
        [name] = await self.store.names()
        return await self.store._table(name)

    async def wait_for_vector_index(self) -> None:
        """Until the search service has built it, and every row so far is in it."""
        table = await self.table()
        while True:
            indexes = {column: index.name for index in await table.list_indices() for column in index.columns}
            if "vector" in indexes:
                if (await table.index_stats(indexes["vector"])).num_unindexed_rows > 0:
                    await self.store.optimize(table.name)
                else:
                    return
            await asyncio.sleep(1)

    async def unindexed(self) -> int:
        """Rows that are beside the vector index now."""
        table = await self.table()
        [name] = [index.name for index in await table.list_indices() if "vector" in index.columns]
        return int((await table.index_stats(name)).num_unindexed_rows)

    def exact(self, query: Floats, label: str | None) -> set[str]:
        """Ids of the nearest `TOP_K` synthetic images that pass, by numpy."""
        scores = self.vectors @ query
        if label is not None:
            scores = np.where(self.passing[label], scores, -2)
        return {self.ids[n] for n in np.argpartition(-scores, TOP_K)[:TOP_K]}


def _image_row(image_id: str) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "seq": 1,
        "incarnation": 1,
        "byte_size": 50_000,
        "mtime_ns": 0,
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "origin": "photo",
        "taken_at": "",
        "blob_key": f"images/{image_id[:2]}/{image_id}",
        "thumb_key": "",
        "row_version": 1,
        "indexed_version": 0,
        "state": int(State.DERIVED),
        "created_at_ms": 1,
    }


def _detection(name: str) -> Detection:
    return Detection("coco-80", "lite_image", "1", CLASS_IDS[name], name, 0.55, (0.1, 0.1, 0.6, 0.6), "single", 1)


async def measure(session: Session, gallery: Gallery, label: str | None, rounds: int, queries: int) -> Result:
    """Service and bare LanceDB on the same queries, one right after the other."""
    table = await gallery.table()
    service_ms: list[list[float]] = []
    bare_ms: list[list[float]] = []
    recalls = []
    for number in range(rounds + 1):  # the first one warms up
        service: list[float] = []
        bare: list[float] = []
        for position, query in enumerate(gallery.mixes(queries)):
            asks = [
                _timed(_ask_service(session, gallery, query, label), service),
                _timed(_ask_bare(table, query, label), bare),
            ]
            answers = {}
            for ask in asks if position % 2 else reversed(asks):
                answers[ask is asks[0]] = await ask
            if number:
                recalls.append(len(answers[True] & gallery.exact(query, label)) / TOP_K)
        if number:
            service_ms.append(service)
            bare_ms.append(bare)
    overhead = [statistics.median(s) - statistics.median(b) for s, b in zip(service_ms, bare_ms, strict=True)]
    return Result(
        filter="none" if label is None else f"{SHARES[label]:.0%} ({label})",
        recall=statistics.mean(recalls),
        service_ms=statistics.median(ms for each in service_ms for ms in each),
        bare_ms=statistics.median(ms for each in bare_ms for ms in each),
        overhead_ms=statistics.median(overhead),
    )


async def _timed(work: Any, times_ms: list[float]) -> Any:
    started = time.perf_counter()
    result = await work
    times_ms.append((time.perf_counter() - started) * 1000)
    return result


async def _ask_service(session: Session, gallery: Gallery, query: Floats, label: str | None) -> set[str]:
    request = pb.SearchRequest(principal=LOCAL, space=gallery._space, limit=TOP_K)
    request.terms.add(embedding=embedding_message(query), weight=1.0)
    if label is not None:
        request.filter.labels_all.add(class_name=label, min_score=0.5)
    answer = await session.node.search.Search(request)
    return {hit.image_id for hit in answer.hits}


async def _ask_bare(table: Any, query: Floats, label: str | None) -> set[str]:
    tuning = Tuning()
    search = table.query().nearest_to(query).column("vector").distance_type("cosine").limit(TOP_K)
    if label is not None:
        buckets = ", ".join(f"'coco-80:{CLASS_IDS[label]}#1@{b}'" for b in range(10, 21))
        search = search.where(f"array_has_any(labels, [{buckets}])")
    found = await search.select(["image_id"]).ef(tuning.ef).refine_factor(tuning.refine).to_arrow()
    return set(found["image_id"].to_pylist())


def show(answer: dict[str, Any], results: Sequence[Result]) -> None:
    """Print a table: measured beside the goals."""
    title = f"Search on {answer['rows']:,} vectors, {answer['unindexed']:,} of them beside the index"
    table = Table(title=title, title_justify="left")
    for heading in ("filter", "recall@10", "service p50 ms", "bare LanceDB p50 ms", "difference ms", ""):
        table.add_column(heading, justify="right")
    for r in results:
        met = r.recall >= GOAL_RECALL and r.overhead_ms <= GOAL_OVERHEAD_MS
        verdict = "[green]met[/]" if met else "[red]missed[/]"
        cells = (r.service_ms, r.bare_ms, r.overhead_ms)
        table.add_row(r.filter, f"{r.recall:.4f}", *(f"{cell:.1f}" for cell in cells), verdict)
    Console().print(table)
    print(f"goals: recall@10 at least {GOAL_RECALL}, difference at most {GOAL_OVERHEAD_MS} ms")


if __name__ == "__main__":
    asyncio.run(main())
