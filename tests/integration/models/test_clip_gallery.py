"""The clip profile in one process, from indexing to search, with random weights from a store."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.commands import write_photos
from support.in_process import index, opened, search

from kindred.embedder.v1 import embedder_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_kit.errors import ModelNotPulled, SpaceMismatch
from kindred_standalone.connect import LOCAL, Session

from .conftest import ClipProfile

PHOTOS = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]


def settings(profile: ClipProfile, **others: Any) -> dict[str, Any]:
    return {"models_dir": profile.repository, "model_store_dir": profile.store, "profile": "clip", **others}


async def test_index_and_search(clip_profile: ClipProfile, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", PHOTOS)
    async with opened(tmp_path / "gallery", **settings(clip_profile)) as session:
        assert (await index(session, sorted(photos.iterdir()))).indexed == len(PHOTOS)
        status = await session.node.search.GetStatus(search_pb2.GetStatusRequest(principal=LOCAL))
        assert (status.space, status.dimension, status.failed) == ("clip-vit-base-patch32-openai-1", 512, 0)
        hits = await search(session.node, query=[{"text": "a cat on a sofa"}])
        assert {hit["file_name"] for hit in hits} == set(PHOTOS)
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
        for hit in hits:
            first, *_ = await search(session.node, query=[{"image_id": hit["id"]}])
            assert first["id"] == hit["id"]
            assert first["score"] == pytest.approx(1, abs=1e-3)
        labelled = await labelled_hits(session)
        assert {hit["file_name"] for hit in labelled} == set(PHOTOS)
        assert {label["class"] for hit in labelled for label in hit["labels"]} == {"cat"}
        await embeddings_do_not_depend_on_their_neighbours(session, photos)
    # a gallery of this space is not mixed up with the lite models
    with pytest.raises(SpaceMismatch, match="clip-vit-base-patch32-openai-1"):
        async with opened(tmp_path / "gallery"):
            pass


async def labelled_hits(session: Session) -> list[dict[str, Any]]:
    """Once the detector's worker has seen all."""
    filters = {"labels": {"all": [{"class": "cat", "min_score": 0.5}]}}
    for _ in range(600):
        hits = await search(session.node, query=[{"text": "anything"}], filter=filters)
        if len(hits) == len(PHOTOS):
            return hits
        await asyncio.sleep(0.1)
    pytest.fail("the photos were not labelled in a minute")


def vector(embedding: pb.Embedding) -> NDArray[np.float32]:
    return np.frombuffer(embedding.values, "<f4")


async def embeddings_do_not_depend_on_their_neighbours(session: Session, photos: Path) -> None:
    texts = ["a dog", "a very long walk along the beach at sunset " * 20, "рыжий кот", "😀"]
    together = await session.node.embedder.EmbedText(pb.EmbedTextRequest(texts=texts))
    for row, text in enumerate(texts):
        alone = await session.node.embedder.EmbedText(pb.EmbedTextRequest(texts=[text]))
        np.testing.assert_allclose(vector(alone.embeddings[0]), vector(together.embeddings[row]), atol=1e-5)
    requests = [pb.EmbedImageRequest(data=path.read_bytes()) for path in sorted(photos.iterdir())]
    at_once = await asyncio.gather(*(session.node.embedder.EmbedImage(request) for request in requests))
    for request, answer in zip(requests, at_once, strict=True):
        alone_image = await session.node.embedder.EmbedImage(request)
        np.testing.assert_allclose(vector(alone_image.embedding), vector(answer.embedding), atol=1e-5)


async def test_without_weights_the_command_that_gets_them_is_named(clip_profile: ClipProfile, tmp_path: Path) -> None:
    said = r"clip_image, clip_text and yolov7.*kindred models pull clip_image clip_text yolov7 --accept-license"
    with pytest.raises(ModelNotPulled, match=said):
        async with opened(tmp_path / "gallery", **settings(clip_profile, model_store_dir=tmp_path / "empty")):
            pass
    assert not (tmp_path / "empty").exists()
