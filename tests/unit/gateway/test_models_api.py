"""Detect, embed, uploads, labels, status, health."""

import asyncio
import json

import pytest
from support.fakes import MemoryBlobs
from support.photos import noise_jpeg
from unit.gateway.conftest import StartGateway
from unit.gateway.harness import Gateway

from kindred_gateway.problems import UploadNotFound
from kindred_gateway.uploads import existing_upload_key, new_upload_id, sweep, upload_key


async def test_detect_a_file_an_image_and_an_upload(gateway: Gateway) -> None:
    data = noise_jpeg(1, 200, 100)
    image_id = await gateway.add(data)
    upload_id = (await gateway.http.post("/v1/uploads", files={"file": data})).json()["upload_id"]
    answers = [
        await gateway.http.post("/v1/detect", files={"file": data}, data={"request": '{"max_detections": 3}'}),
        await gateway.http.post("/v1/detect", json={"image_id": image_id, "score_threshold": 0.4}),
        await gateway.http.post("/v1/detect", json={"upload_id": upload_id, "classes": ["dog"]}),
    ]
    for answer in answers:
        body = answer.json()
        assert answer.status_code == 200, body
        dog = {"class": "dog", "score": 0.875, "bbox": [0, 0, 100, 75], "source": "single", "agreement": 1}
        assert body["labels"] == [{**dog, "model": "fake_detector/1"}]
        assert (body["model"], body["label_set"], body["width"]) == ("fake_detector/1", "coco-80", 200)
    assert gateway.detector.requests[0].max_detections == 3
    assert gateway.detector.requests[1].score_threshold == pytest.approx(0.4)
    assert not gateway.detector.requests[0].HasField("score_threshold")


async def test_detect_passes_its_options_on(gateway: Gateway) -> None:
    options = ({"tta": True}, {"tta": {"scales": [0.75, 1.5]}, "nms_iou": 0.4, "models": ["a", "b"]}, {"tta": False})
    for chosen in options:
        form = {"request": json.dumps(chosen)}
        answer = await gateway.http.post("/v1/detect", files={"file": noise_jpeg(1)}, data=form)
        assert answer.status_code == 200, answer.text
    flipped, scaled, plain = gateway.detector.requests
    assert (flipped.augmentation.flip, list(flipped.augmentation.scales)) == (True, [])
    assert (scaled.augmentation.flip, list(scaled.augmentation.scales)) == (False, [0.75, 1.5])
    assert (scaled.nms_iou, list(scaled.models)) == (pytest.approx(0.4), ["a", "b"])
    assert not plain.augmentation.flip
    assert not plain.HasField("nms_iou")


@pytest.mark.parametrize(
    "options",
    [
        {"nms_iou": 1.5}, {"tta": "yes"}, {"tta": {"scales": [3]}}, {"tta": {"scales": [1.5] * 4}}, {"models": "a"},
        {"tta": {"rotate": True}}, {"models": ["a"] * 4}, {"score_threshold": -0.1}, {"max_detections": 301},
    ],
)  # fmt: skip
async def test_bad_detect_options(gateway: Gateway, options: dict[str, object]) -> None:
    form = {"request": json.dumps(options)}
    answer = await gateway.http.post("/v1/detect", files={"file": noise_jpeg(1)}, data=form)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_argument")
    assert gateway.detector.requests == []


@pytest.mark.parametrize("body", [{}, {"image_id": "0" * 64, "upload_id": "up_1"}, {"url": "http://a.example"}])
async def test_detect_needs_one_source(gateway: Gateway, body: dict[str, str]) -> None:
    answer = await gateway.http.post("/v1/detect", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_argument")


async def test_a_class_is_asked_for(gateway: Gateway) -> None:
    asked = await gateway.http.post("/v1/label-requests", json={"class": "violin"})
    assert asked.status_code == 201
    assert asked.json() == {"class": "violin", "label_sets": [], "requests": 7, "closest": ["cat"]}
    assert gateway.search.principals[-1] == "local"
    known = await gateway.http.post("/v1/label-requests", json={"class": "dog"})
    assert (known.status_code, known.json()["label_sets"]) == (200, ["coco-80"])


@pytest.mark.parametrize("body", [{}, {"class": ""}, {"class": 1}, {"class": "x" * 201}, {"class": "x", "owner": "y"}])
async def test_a_request_for_no_class(gateway: Gateway, body: dict[str, object]) -> None:
    answer = await gateway.http.post("/v1/label-requests", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_argument")


async def test_embed(gateway: Gateway) -> None:
    texts = (await gateway.http.post("/v1/embed", json={"texts": ["a", "b"]})).json()
    assert (len(texts["embeddings"]), texts["dimension"], texts["space"]) == (2, 4, "fake-1")
    image = await gateway.http.post("/v1/embed", files={"file": noise_jpeg(1)}, data={"region": "0,0,1,1"})
    assert (len(image.json()["embeddings"]), image.json()["model"]) == (1, "fake_image/1")


@pytest.mark.parametrize("texts", [[], ["a"] * 257, [" "], ["x" * 2001], [1], "a"])
async def test_bad_texts(gateway: Gateway, texts: object) -> None:
    answer = await gateway.http.post("/v1/embed", json={"texts": texts})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_argument")


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "nan,0,1,1", "0,0,inf,1", "{", "[]", '{"x":0}', "0,0,0,1"])
async def test_bad_regions(gateway: Gateway, region: str) -> None:
    answer = await gateway.http.post("/v1/embed", files={"file": noise_jpeg(1)}, data={"region": region})
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"invalid_argument", "region_invalid", "malformed_body"}


async def test_uploads_are_bound_to_their_owner() -> None:
    blobs = MemoryBlobs()
    upload_id = new_upload_id("ada")
    await blobs.put(upload_key(upload_id), b"x")
    assert await existing_upload_key(blobs, upload_id, "ada", 60) == f"uploads/{upload_id}"
    with pytest.raises(UploadNotFound):
        await existing_upload_key(blobs, upload_id, "eve", 60)
    with pytest.raises(UploadNotFound):
        await existing_upload_key(blobs, new_upload_id("ada"), "ada", 60)


async def test_uploads_end() -> None:
    blobs = MemoryBlobs()
    old, new = new_upload_id("ada"), new_upload_id("ada")
    for upload_id in (old, new):
        await blobs.put(upload_key(upload_id), b"x")
    blobs.objects[upload_key(old)] = (b"x", 1000)
    with pytest.raises(UploadNotFound):
        await existing_upload_key(blobs, old, "ada", 3600)
    assert await sweep(blobs, 3600) == 1
    assert set(blobs.objects) == {upload_key(new)}


async def test_a_started_gateway_sweeps(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(sweep_interval_s=0.01)
    old = upload_key(new_upload_id("ada"))
    await gateway.blobs.put("images/ab/abc", b"x")
    await gateway.app.start()
    gateway.blobs.objects[old] = (b"x", 1000)
    while old in gateway.blobs.objects:
        await asyncio.sleep(0.01)
    assert set(gateway.blobs.objects) == {"images/ab/abc"}


async def test_labels_and_status(gateway: Gateway) -> None:
    labels = (await gateway.http.get("/v1/labels")).json()["labels"]
    assert labels == [{"class": "dog", "label_set": "coco-80", "images": 2, "boxes": 3}]
    await gateway.add()
    status = (await gateway.http.get("/v1/status")).json()
    assert status["images"] == {"total": 1, "indexed": 1, "pending": 0, "failed": 0}
    assert status["parts"] == {"embedder": "up", "detector": "up", "search": "up", "datasets": "up"}
    assert (status["embedder"]["profile"], status["detector"]["model"]) == ("lite", "fake_detector/1")


async def test_searches_go_on_without_data_sets(gateway: Gateway) -> None:
    await gateway.servers["datasets"].aclose()
    answer = await gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["datasets"]) == (200, "down")
    assert (await gateway.http.get("/v1/datasets")).json()["code"] == "unavailable"


async def test_readiness_follows_the_parts(gateway: Gateway) -> None:
    assert (await gateway.http.get("/readyz")).json()["status"] == "ok"
    await gateway.servers["detector"].aclose()
    answer = await gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["parts"] == {"embedder": "up", "detector": "down", "search": "up", "datasets": "up"}
    assert "retry-after" in answer.headers
    assert (await gateway.http.get("/healthz")).status_code == 200
    status = (await gateway.http.get("/v1/status")).json()
    assert (status["detector"], status["parts"]["detector"]) == (None, "down")


async def test_metrics_count_requests_by_route(gateway: Gateway) -> None:
    image_id = await gateway.add()
    await gateway.http.get(f"/v1/images/{image_id}")
    await gateway.http.get("/no/such/page")
    text = (await gateway.http.get("/metrics")).text
    line = 'kindred_http_request_duration_seconds_count{method="GET",route="%s",status="%s"}'
    assert line % ("/v1/images/{image_id}", "200") in text
    assert line % ("unmatched", "404") in text
    assert image_id not in text


async def test_the_page_is_self_contained(gateway: Gateway) -> None:
    page = await gateway.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "://" not in page.text  # nothing from elsewhere
    assert "<script>" not in page.text
    assert " style=" not in page.text
    for path, kind in (("static/app.js", "text/javascript"), ("static/style.css", "text/css")):
        assert path in page.text
        assert (await gateway.http.get("/" + path)).headers["content-type"].startswith(kind)
