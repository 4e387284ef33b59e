"""The detector on the shipped lite model, through gRPC."""

from typing import Any

import pytest
from support.photos import skimage_photo

from kindred.detector.v1 import detector_pb2 as pb
from kindred_kit.errors import BlobNotFound, ImageUnsupportedFormat, InvalidArgument, UnknownLabel


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
