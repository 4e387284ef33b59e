"""Label filters by precision, with calibrations of the runs whose labels are in the catalogue."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.search_service import SearchService, image_id, labels

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import InvalidArgument, InvalidFilter, PrecisionUnavailable, UnknownLabel

LOCAL = pb.Principal(owner="local")
DOG = {"0.5": 0.25, "0.9": 0.625}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SearchService]:
    async with SearchService(tmp_path, settings={"calibrations_dir": tmp_path / "calibrations"}) as running:
        (tmp_path / "calibrations").mkdir()
        yield running


def calibrate(service: SearchService, run: str, name: str = "c", **classes: dict[str, float]) -> None:
    document = {"label_set": "coco-80", "run": run, "precisions": classes}
    (service.folder / "calibrations" / f"{name}.json").write_text(json.dumps(document))


async def relabel(service: SearchService, name: str, run: str, score: float) -> None:
    request = pb.Derived(image_id=image_id(name), seq=1, labels=[labels([("dog", score)])])
    request.labels[0].run = run
    await service.stub.PutDerived(pb.PutDerivedRequest(images=[request]))
    await service.settle()


def wanting(class_name: str, precision: float, **fields: Any) -> pb.Filter:
    return pb.Filter(labels_all=[pb.LabelTerm(class_name=class_name, min_precision=precision, **fields)])


async def found(service: SearchService, wanted: pb.Filter) -> set[str]:
    return set(await service.ids("weak", filter=wanted))


async def test_a_precision_stands_for_a_score(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    await service.add("at it", boxes=[("dog", 0.625)])
    await service.add("strong", boxes=[("dog", 0.9)])
    with pytest.raises(PrecisionUnavailable, match=r"kindred labels calibrate --model det --precision 0.9 --coco"):
        await found(service, wanting("dog", 0.9))
    calibrate(service, "det/1", dog=DOG, person={})
    assert await found(service, wanting("dog", 0.9)) == {image_id("at it"), image_id("strong")}
    assert len(await found(service, wanting("dog", 0.5))) == 3
    assert await found(service, wanting("dog", 0.5, min_score=0.7)) == {image_id("strong")}
    none = pb.Filter(labels_none=[pb.LabelTerm(class_name="dog", min_precision=0.6)])
    assert await found(service, none) == {image_id("weak")}
    items = service.stub.Collect(pb.CollectRequest(principal=LOCAL, filter=wanting("dog", 0.9), limit=10))
    assert len([item async for part in items for item in part.items]) == 2


@pytest.mark.parametrize(
    ("class_name", "precision", "words"),
    [
        ("dog", 0.95, "0.5, 0.9"),
        ("person", 0.5, "too rarely found to tell, or never precise; so precise are dog"),
        ("train", 0.9, "not among the photos it was made with; so precise are dog"),
    ],
)
async def test_what_is_not_known_says_what_is(
    service: SearchService, class_name: str, precision: float, words: str
) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    calibrate(service, "det/1", dog=DOG, person={})
    with pytest.raises(PrecisionUnavailable, match=words) as caught:
        await found(service, wanting(class_name, precision))
    assert caught.value.pointer == "/filter/labels/all/0"


async def test_another_version_is_no_calibration(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    calibrate(service, "det/0", dog=DOG)
    with pytest.raises(PrecisionUnavailable, match=r"labels of det/1 are \(there is one of det/0\)"):
        await found(service, wanting("dog", 0.9))


async def test_half_way_through_a_relabelling_the_stricter_threshold_counts(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    await service.add("strong", boxes=[("dog", 0.7)])
    calibrate(service, "det/1", dog=DOG)
    await relabel(service, "weak", "det/1 flip", 0.7)
    with pytest.raises(PrecisionUnavailable, match=r"det/1 flip .*--tta"):
        await found(service, wanting("dog", 0.9))
    calibrate(service, "det/1 flip", "flip", dog={"0.9": 0.75})
    assert await found(service, wanting("dog", 0.9)) == set()
    await relabel(service, "strong", "det/1 flip", 0.8)  # the first run is used no more
    calibrate(service, "det/1 flip", "flip", dog={"0.9": 0.65})
    assert len(await found(service, wanting("dog", 0.9))) == 2


async def test_a_damaged_file_is_left_out(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.7)])
    (service.folder / "calibrations" / "broken.json").write_text("{")
    calibrate(service, "det/1", dog=DOG)
    assert len(await found(service, wanting("dog", 0.9))) == 1


async def test_thresholds_for_an_export(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    ask = service.stub.GetLabelThresholds
    with pytest.raises(PrecisionUnavailable, match="kindred labels calibrate"):
        await ask(pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=0.9))
    calibrate(service, "det/1", dog=DOG, person={}, car={"0.5": 0.5})
    answer = await ask(pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=0.9))
    assert (dict(answer.thresholds), list(answer.without)) == ({"dog": 0.625}, ["car", "person"])
    named = await ask(pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=0.5, classes=["Dog", "car"]))
    assert dict(named.thresholds) == {"Dog": 0.25, "car": 0.5}
    with pytest.raises(PrecisionUnavailable, match=r"no class .* 0\.99"):
        await ask(pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=0.99))
    with pytest.raises(PrecisionUnavailable, match="person"):
        await ask(pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=0.5, classes=["person"]))


async def test_bounds(service: SearchService) -> None:
    await service.add("weak", boxes=[("dog", 0.5)])
    with pytest.raises(InvalidFilter, match="min_precision"):
        await found(service, wanting("dog", 1.5))
    with pytest.raises(UnknownLabel):
        await found(service, wanting("violin", 0.9))
    for precision in (0.0, -1.0, 1.1):
        request = pb.GetLabelThresholdsRequest(principal=LOCAL, min_precision=precision)
        with pytest.raises(InvalidArgument):
            await service.stub.GetLabelThresholds(request)
