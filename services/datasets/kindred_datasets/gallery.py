"""What a build asks of the search service and the embedder, in the name of one principal."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from kindred.search.v1 import search_pb2 as pb
from kindred.search.v1 import search_pb2_grpc
from kindred_kit.embeddings import embedding_vector

_RECORDS = 500
_EMBEDDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """Images that pass, best first; `scores` are cosines, None where nothing was asked."""

    image_ids: tuple[str, ...]
    scores: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.image_ids)


class Gallery:
    def __init__(
        self,
        search: "search_pb2_grpc.SearchServiceAsyncStub",
        embedder: "embedder_pb2_grpc.EmbedderServiceAsyncStub",
        owner: str,
    ) -> None:
        self._search = search
        self._embedder = embedder
        self._principal = pb.Principal(owner=owner)

    async def collect(
        self,
        wanted: pb.Filter,
        limit: int,
        *,
        terms: Sequence[pb.Term] = (),
        space: str = "",
        min_score: float | None = None,
        among_ids: Sequence[str] = (),
    ) -> Ranking:
        """The best `limit` images. Raises UnknownLabel, InvalidFilter, SpaceMismatch, ImageNotFound."""
        request = pb.CollectRequest(
            principal=self._principal,
            terms=terms,
            space=space,
            filter=wanted,
            limit=limit,
            min_score=min_score,
            among_ids=among_ids,
        )
        ids: list[str] = []
        scores: list[float | None] = []
        async for part in self._search.Collect(request):
            ids += [item.image_id for item in part.items]
            scores += [item.score if item.HasField("score") else None for item in part.items]
        return Ranking(tuple(ids), tuple(scores))

    async def records(self, image_ids: Sequence[str]) -> AsyncIterator[pb.ImageRecord]:
        """Records of the images that the principal may see, in order."""
        for start in range(0, len(image_ids), _RECORDS):
            part = image_ids[start : start + _RECORDS]
            answer = await self._search.GetImages(pb.GetImagesRequest(principal=self._principal, image_ids=part))
            for record in answer.images:
                yield record

    async def embeddings(self, image_ids: Sequence[str], space: str) -> tuple[list[str], NDArray[np.float16]]:
        """Ids that have an embedding, in order, and theirs, float16 [n, d], L2-normalised. Raises SpaceMismatch."""
        found: list[str] = []
        blocks: list[NDArray[np.float16]] = []
        for start in range(0, len(image_ids), _EMBEDDINGS):
            request = pb.GetEmbeddingsRequest(
                principal=self._principal, image_ids=image_ids[start : start + _EMBEDDINGS], space=space
            )
            async for part in self._search.GetEmbeddings(request):
                found += part.image_ids
                blocks.append(np.frombuffer(part.vectors, "<f2").reshape(-1, part.dimension))
        return found, np.concatenate(blocks) if blocks else np.empty((0, 1), np.float16)

    async def space(self) -> str:
        """The embedding space of the index; empty where nothing is indexed."""
        return (await self._search.GetStatus(pb.GetStatusRequest(principal=self._principal))).space

    async def embed(self, blob_key: str, region: embedder_pb2.Region | None = None) -> tuple[NDArray[np.float32], str]:
        """float32 [d], L2-normalised, and its space. Raises the errors of images, BlobNotFound, InvalidRegion."""
        answer = await self._embedder.EmbedImage(embedder_pb2.EmbedImageRequest(blob_key=blob_key, region=region))
        return embedding_vector(answer.embedding), answer.space
