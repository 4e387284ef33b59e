"""Several looks and several models, through gRPC: the shipped lite model beside YOLOX-nano, which is not shipped."""

from typing import Any

import pytest
from support.photos import skimage_photo

from kindred.detector.v1 import detector_pb2 as pb
from kindred_kit.errors import InvalidArgument

BOTH = ["lite_image", "yolox_nano"]


def overlap(one: pb.Box, other: pb.Box) -> float:
    width = min(one.x_max, other.x_max) - max(one.x_min, other.x_min)
    height = min(one.y_max, other.y_max) - max(one.y_min, other.y_min)
    inner = max(0.0, width) * max(0.0, height)
    areas = [(box.x_max - box.x_min) * (box.y_max - box.y_min) for box in (one, other)]
    return inner / (sum(areas) - inner)


@pytest.mark.parametrize(
    ("augmentation", "runs"),
    [
        (pb.Augmentation(flip=True), 2),
        (pb.Augmentation(scales=[0.75]), 2),
        (pb.Augmentation(flip=True, scales=[0.75, 1.3]), 4),
    ],
)
async def test_all_looks_see_the_cat_in_one_place(detector: Any, augmentation: pb.Augmentation, runs: int) -> None:
    photo = skimage_photo("chelsea.png")
    plain = await detector.Detect(pb.DetectRequest(data=photo))
    fused = await detector.Detect(pb.DetectRequest(data=photo, augmentation=augmentation))
    cat = fused.detections[0]
    assert (cat.class_name, cat.source, cat.model) == ("cat", "tta", "lite_image/1")
    assert runs - 1 <= cat.agreement <= runs
    assert overlap(cat.box, plain.detections[0].box) > 0.8
    assert {d.source for d in plain.detections} == {"single"}


async def test_a_higher_threshold_answers_fewer_boxes_and_no_others(detector: Any) -> None:
    photo, flip = skimage_photo("coffee.png"), pb.Augmentation(flip=True)
    low = await detector.Detect(pb.DetectRequest(data=photo, augmentation=flip, score_threshold=0.1))
    high = await detector.Detect(pb.DetectRequest(data=photo, augmentation=flip, score_threshold=0.3))
    assert list(high.detections) == [d for d in low.detections if d.score >= 0.3]
    assert 0 < len(high.detections) < len(low.detections)


async def test_nms_iou_replaces_the_models_own(detector: Any) -> None:
    photo = skimage_photo("coffee.png")
    counts = [
        len((await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0, nms_iou=iou))).detections)
        for iou in (0.0, 0.6, 1.0)
    ]
    own = await detector.Detect(pb.DetectRequest(data=photo, score_threshold=0))
    assert counts[0] < counts[1] <= counts[2]
    assert len(own.detections) == counts[1]


async def test_yolox_alone_finds_the_cat(with_yolox: Any) -> None:
    answer = await with_yolox.Detect(pb.DetectRequest(data=skimage_photo("chelsea.png"), models=["yolox_nano"]))
    lite = await with_yolox.Detect(pb.DetectRequest(data=skimage_photo("chelsea.png")))
    best = answer.detections[0]
    assert (best.class_name, best.source, best.model, answer.model_name) == (
        "cat", "single", "yolox_nano/1", "yolox_nano",
    )  # fmt: skip
    assert best.score > 0.5
    assert overlap(best.box, lite.detections[0].box) > 0.7
    assert lite.model_name == "lite_image"


async def test_two_models_agree_on_the_cat(with_yolox: Any) -> None:
    answer = await with_yolox.Detect(pb.DetectRequest(data=skimage_photo("chelsea.png"), models=BOTH))
    best = answer.detections[0]
    assert (best.class_name, best.source, best.agreement) == ("cat", "wbf", 2)
    assert best.model == "lite_image/1+yolox_nano/1"
    assert (answer.model_name, answer.model_version) == ("lite_image+yolox_nano", "1+1")
    flip = pb.Augmentation(flip=True)
    more = await with_yolox.Detect(
        pb.DetectRequest(data=skimage_photo("chelsea.png"), models=BOTH, augmentation=flip, classes=["cat"])
    )
    assert {d.class_name for d in more.detections} == {"cat"}
    assert more.detections[0].agreement >= 3


@pytest.mark.parametrize("models", [["absent"], ["lite_text"], ["lite_image", "lite_image"], ["lite_image", "others"]])
async def test_models_that_cannot_be_asked(with_yolox: Any, models: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        await with_yolox.Detect(pb.DetectRequest(data=skimage_photo("chelsea.png"), models=models))


async def test_info_names_every_label_set_and_its_models(with_yolox: Any) -> None:
    info = await with_yolox.GetInfo(pb.GetInfoRequest())
    assert {entry.name: list(entry.models) for entry in info.label_sets} == {
        "coco-80": ["lite_image", "yolox_nano"],
        "others-80": ["others"],
    }
