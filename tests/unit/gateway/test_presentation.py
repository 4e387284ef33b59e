"""Protos to JSON: boxes, absent values, nothing internal."""

import orjson
import pytest
from unit.gateway.fake_services import dog

from kindred.detector.v1 import detector_pb2
from kindred.search.v1 import search_pb2
from kindred_gateway.presentation import box_px, failure_json, image_json, iso_time, search_json, state_name

RECORD = search_pb2.ImageRecord(
    image_id="ab" * 32,
    width=200,
    height=100,
    format="jpeg",
    blob_key="file:///home/ada/secret/photo.jpg",
    thumb_key="thumbs/ab/x.jpg",
    state=search_pb2.STATE_FAILED,
    failure=search_pb2.Failure(code="image_missing", detail="no /home/ada/secret/photo.jpg"),
    labels=[search_pb2.LabelledDetection(label_set="coco-80", model_name="m", model_version="2", detection=dog())],
)


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((0, 0, 1, 1), [0, 0, 200, 100]),
        ((0.25, 0.5, 0.75, 1), [50, 50, 100, 50]),
        ((-0.1, 0, 1.2, 1), [0, 0, 200, 100]),  # a box never leaves its image
        ((0.5, 0.5, 0.25, 0.25), [50, 25, 50, 25]),
    ],
)
def test_boxes_become_pixels(corners: tuple[float, float, float, float], expected: list[float]) -> None:
    x_min, y_min, x_max, y_max = corners
    assert box_px(detector_pb2.Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max), 200, 100) == expected


def test_a_record_shows_nothing_of_the_servers_disk() -> None:
    body = image_json(RECORD)
    text = orjson.dumps(body).decode()
    assert "secret" not in text
    assert "thumbs/" not in text
    assert body["failure"] == {"code": "image_missing", "detail": "no …"}
    assert body["rights"] == {
        "license": "unknown", "license_url": None, "creator": None, "credit": None, "copyright_notice": None,
        "source_url": None, "attribution": None,
    }  # fmt: skip
    assert body["labels"][0]["model"] == "m/2"
    assert (body["ingested_at"], body["taken_at"], body["state"]) == (None, None, "failed")


def test_public_url_and_fields() -> None:
    response = search_pb2.SearchResponse(
        hits=[search_pb2.Hit(image_id=RECORD.image_id, score=0.123456789, image=RECORD)],
        total=7,
        total_is_lower_bound=True,
        next_cursor="c",
    )
    body = search_json(response, "req_1", ["urls"], "https://k.example")
    assert body["results"] == [
        {
            "id": RECORD.image_id,
            "score": 0.123457,
            "urls": {
                "file": f"https://k.example/v1/images/{RECORD.image_id}/file",
                "thumb": f"https://k.example/v1/images/{RECORD.image_id}/thumb",
                "self": f"https://k.example/v1/images/{RECORD.image_id}",
            },
        }
    ]
    assert (body["total"], body["next_cursor"]) == ({"value": 7, "relation": "gte"}, "c")


def test_small_things() -> None:
    assert state_name(99) == "unknown"  # type: ignore[arg-type]
    assert iso_time(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    kept = "the jpeg image has 30000 x 30000 = 900,000,000 pixels, and/or more"
    assert failure_json(search_pb2.Failure(code="c", detail=kept))["detail"] == kept
