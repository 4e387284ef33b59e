"""gRPC edge of the embedder."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from kindred.embedder.v1 import embedder_pb2 as pb
from kindred.embedder.v1 import embedder_pb2_grpc
from kindred_embedder.backlog import EmbeddingBacklog
from kindred_embedder.convert import region_of
from kindred_embedder.images import ImageEmbedder
from kindred_embedder.settings import EmbedderSettings
from kindred_embedder.space import Space
from kindred_embedder.texts import TextEmbedder
from kindred_kit.embeddings import embedding_message
from kindred_kit.errors import InvalidArgument
from kindred_kit.models.convert import detection_messages
from kindred_kit.ports.blobs import BlobStore

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    def __init__(
        self,
        settings: EmbedderSettings,
        space: Space,
        images: ImageEmbedder,
        texts: TextEmbedder,
        blobs: BlobStore,
        backlog: EmbeddingBacklog,
    ) -> None:
        self._settings = settings
        self._space = space
        self._images = images
        self._texts = texts
        self._blobs = blobs
        self._backlog = backlog

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Context) -> pb.EmbedTextResponse:
        if len(request.texts) > self._settings.max_texts:
            raise InvalidArgument(f"at most {self._settings.max_texts} texts a call")
        if any(len(text) > self._settings.max_text_chars for text in request.texts):
            raise InvalidArgument(f"a text has at most {self._settings.max_text_chars} characters")
        vectors = await self._texts.embed(list(request.texts))
        return pb.EmbedTextResponse(
            embeddings=[embedding_message(vector) for vector in vectors],
            space=self._space.name,
            model_name=self._space.text.name,
            model_version=self._space.text.version,
        )

    async def EmbedImage(self, request: pb.EmbedImageRequest, context: Context) -> pb.EmbedImageResponse:
        data = await self._blobs.get(request.blob_key) if request.blob_key else request.data
        embedded = await self._images.embed(data, region=region_of(request))
        return pb.EmbedImageResponse(
            embedding=embedding_message(embedded.embedding),
            space=self._space.name,
            model_name=self._space.image.name,
            model_version=self._space.image.version,
            detections=detection_messages(embedded.boxes, self._space.image.classes),
            width=embedded.width,
            height=embedded.height,
        )

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        image, text = self._space.image, self._space.text
        return pb.GetInfoResponse(
            space=self._space.name,
            dimension=image.dimension,
            profile=image.profile,
            image_model=f"{image.name}/{image.version}",
            text_model=f"{text.name}/{text.version}",
            max_text_tokens=text.max_text_tokens,
            label_set=image.label_set,
        )

    async def EmbedBacklog(
        self, request: pb.EmbedBacklogRequest, context: Context
    ) -> AsyncIterator[pb.EmbedBacklogProgress]:
        async for progress in self._backlog.run():
            yield progress
