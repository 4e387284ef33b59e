"""The detector behind gRPC: with the shipped lite model, and with YOLOX-nano beside it, which is not shipped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fakes import MemoryBlobs
from support.inference import inference_of
from support.paths import MODELS
from support.photos import skimage_photo
from support.yolox import yolox_folder

from kindred.detector.v1 import detector_pb2_grpc
from kindred_detector.app import Adapters, build
from kindred_detector.settings import DetectorSettings
from kindred_kit.models import ModelSet
from kindred_kit.rpc import RpcServer, open_channel


@asynccontextmanager
async def serving(folder: Path, models: ModelSet) -> AsyncIterator[Any]:
    """A stub; the photo of a cat lies in the object store at images/cat."""
    blobs = MemoryBlobs()
    await blobs.put("images/cat", skimage_photo("chelsea.png"))
    async with inference_of(models) as inference:
        app = await build(DetectorSettings(), Adapters(inference, models, blobs))
        server = RpcServer("detector", app.registrations)
        async with open_channel(await server.start(f"unix:{folder}/d.sock")) as channel:
            yield detector_pb2_grpc.DetectorServiceStub(channel)
        await server.aclose(timedelta(0))
        await app.aclose()


@pytest.fixture
async def detector(tmp_path: Path) -> AsyncIterator[Any]:
    async with serving(tmp_path, ModelSet.load(MODELS)) as stub:
        yield stub


@pytest.fixture
async def with_yolox(tmp_path: Path) -> AsyncIterator[Any]:
    yolox_folder(tmp_path / "own")
    yolox_folder(tmp_path / "own", name="others", label_set="others-80")
    async with serving(tmp_path, ModelSet.load(MODELS, tmp_path / "own")) as stub:
        yield stub
