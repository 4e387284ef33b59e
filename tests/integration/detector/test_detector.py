"""The detector on the shipped lite model, through gRPC."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fakes import MemoryBlobs
from support.paths import MODELS
from support.photos import skimage_photo

from kindred.detector.v1 import detector_pb2 as pb
from kindred.detector.v1 import detector_pb2_grpc
from kindred_detector.app import Adapters, build
from kindred_detector.settings import DetectorSettings
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.errors import BlobNotFound, ImageUnsupportedFormat, InvalidArgument, UnknownLabel
from kindred_kit.models import ModelSet
from kindred_kit.rpc import RpcServer, open_channel


@pytest.fixture
async def detector(tmp_path: Path) -> AsyncIterator[Any]:
    models, blobs = ModelSet.load(MODELS), MemoryBlobs()
    await blobs.put("images/cat", skimage_photo("chelsea.png"))
    inference = OnnxInference({model.name: model.onnx_path for model in models})
    app = await build(DetectorSettings(), Adapters(inference, models, blobs))
    server = RpcServer("detector", app.registrations)
    async with open_channel(await server.start(f"unix:{tmp_path}/d.sock")) as channel:
        yield detector_pb2_grpc.DetectorServiceStub(channel)
    await server.aclose(timedelta(0))
    await app.aclose()
    await inference.aclose()


async def test_the_cat_is_found_where_it_is(detector: Any) -> None:
    answer = await detector.Detect(pb.DetectRequest(blob_key="images/cat"))
    best = answer.detections[0]
    assert (best.class_name, best.source, best.agreement) == ("cat", "single", 1)
    assert best.box.x_min < 0.3
    assert best.box.x_max > 0.7
    assert (answer.label_set, answer.width, answer.height) == ("coco-80", 451, 300)


async def test_options_narrow_the_answer(detector: Any) -> None:
    photo = skimage_photo("coffee.png")
    everything = await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0.0))
    scores = [detection.score for detection in everything.detections]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) > 20
    few = await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0.0, max_detections=3))
    assert [d.score for d in few.detections] == scores[:3]
    cups = await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0.0, classes=["cup"]))
    assert {d.class_name for d in cups.detections} == {"cup"}
    confident = await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0.5))
    assert len(confident.detections) == sum(score >= 0.5 for score in scores)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (pb.DetectRequest(data=b"plain text", score_threshold=0.5), ImageUnsupportedFormat),
        (pb.DetectRequest(blob_key="images/absent"), BlobNotFound),
        (pb.DetectRequest(blob_key="../etc/passwd"), InvalidArgument),
        (pb.DetectRequest(blob_key="images/cat", score_threshold=1.5), InvalidArgument),
        (pb.DetectRequest(blob_key="images/cat", score_threshold=float("nan")), InvalidArgument),
        (pb.DetectRequest(blob_key="images/cat", max_detections=-1), InvalidArgument),
        (pb.DetectRequest(blob_key="images/cat", classes=["violin"]), UnknownLabel),
    ],
)
async def test_bad_requests_say_why(detector: Any, request_: pb.DetectRequest, error: type[Exception]) -> None:
    with pytest.raises(error):
        await detector.Detect(request_)


async def test_info_names_the_label_set(detector: Any) -> None:
    info = await detector.GetInfo(pb.GetInfoRequest())
    assert info.label_sets[0].name == "coco-80"
    assert len(info.label_sets[0].classes) == 80
    assert 0 < info.score_threshold < 1
