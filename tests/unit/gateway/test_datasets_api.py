"""Data sets over HTTP: orders become specs, bad ones distinct problems, archives are downloaded by link."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from support.photos import noise_jpeg
from unit.gateway.harness import Gateway

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred_gateway import schemas
from kindred_kit.errors import DatasetEmpty, UnknownLabel

ARCHIVE = bytes(range(256)) * 40


async def order(gateway: Gateway, body: Any, **headers: str) -> pb.DatasetSpec:
    answer = await gateway.http.post("/v1/datasets", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    spec: pb.DatasetSpec = gateway.datasets.requests[-1].spec
    return spec


async def finished(gateway: Gateway) -> str:
    """The id of a data set that is done."""
    await order(gateway, {"ids": [await gateway.add()], "name": "möwen am strand"})
    [dataset] = gateway.datasets.made.values()
    dataset.state = pb.DATASET_STATE_DONE
    dataset.archive_key = f"datasets/{dataset.dataset_id}/archive.zip"
    dataset.archive_bytes = len(ARCHIVE)
    dataset.archive_sha256 = hashlib.sha256(ARCHIVE).hexdigest()
    dataset.manifest_sha256 = "ab" * 32
    dataset.notes.add(subject="a.jpg", code="image_truncated", detail="it ends at /home/ada/secret/a.jpg")
    dataset.notes.add(subject="ef" * 32, code="near_copy", detail="of another")
    await gateway.blobs.put(dataset.archive_key, ARCHIVE)
    return dataset.dataset_id


async def upload(gateway: Gateway, data: bytes) -> str:
    answer = await gateway.http.post("/v1/uploads", files={"file": data})
    return str(answer.json()["upload_id"])


async def test_a_query_becomes_terms(gateway: Gateway) -> None:
    image_id = await gateway.add()
    spec = await order(
        gateway,
        {
            "name": "dogs",
            "query": [{"text": "a dog"}, {"image_id": image_id, "weight": -0.5}],
            "filter": {"labels": {"all": ["dog"]}},
            "license_type": ["commercial", "modification"],
            "size": 20, "min_score": 0.1, "diversity": 0.5, "balance": True, "keep_duplicates": True,
            "labels": {"classes": ["dog"], "min_score": 0.25, "thresholds": {"dog": 0.5}},
            "format": "yolo", "links": True, "val_share": 0, "seed": 7,
        },
    )  # fmt: skip
    assert spec.query.text == f"a dog + -0.5 x image {image_id}"
    assert [term.WhichOneof("of") for term in spec.query.terms] == ["embedding", "image_id"]
    assert spec.query.space == "fake-1"
    assert [term.class_name for term in spec.filter.labels_all] == ["dog"]
    assert (spec.name, spec.size, spec.seed, spec.links) == ("dogs", 20, 7, True)
    assert (spec.diversity, spec.balance_classes, spec.keep_duplicates) == (0.5, True, True)
    assert (spec.license_type, spec.format) == ("commercial,modification", pb.FORMAT_YOLO)
    assert (list(spec.classes), dict(spec.class_thresholds), spec.label_min_score) == (["dog"], {"dog": 0.5}, 0.25)
    assert spec.HasField("val_share")
    assert spec.val_share == 0


@pytest.mark.parametrize(
    ("labels", "classes", "thresholds"),
    [
        ({"min_precision": 0.9}, ["dog"], {"dog": 0.625}),
        ({"min_precision": 0.9, "thresholds": {"dog": 0.75, "cat": 0.5}}, ["cat", "dog"], {"dog": 0.75, "cat": 0.5}),
        ({"min_precision": 0.9, "classes": ["cat"], "thresholds": {"cat": 0.5}}, ["cat"], {"cat": 0.5}),
        ({"min_precision": 0.9, "classes": ["dog", "cat"], "thresholds": {"cat": 0.5}}, ["dog", "cat"], None),
    ],
)
async def test_labels_as_precise_as_asked(
    gateway: Gateway, labels: dict[str, Any], classes: list[str], thresholds: dict[str, float] | None
) -> None:
    spec = await order(gateway, {"query": [{"text": "a"}], "labels": labels})
    assert list(spec.classes) == classes
    assert dict(spec.class_thresholds) == (thresholds or {"dog": 0.625, "cat": 0.5})


@pytest.mark.parametrize("labels", [{"min_precision": 0.95}, {"min_precision": 0.9, "classes": ["dog", "cat"]}])
async def test_a_precision_that_nobody_knows_of(gateway: Gateway, labels: dict[str, Any]) -> None:
    answer = await gateway.http.post("/v1/datasets", json={"query": [{"text": "a"}], "labels": labels})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "precision_unavailable")
    assert problem["errors"][0]["pointer"] == "/labels/min_precision"


async def test_failures_with_boxes_in_pixels(gateway: Gateway) -> None:
    image_id = await gateway.add(noise_jpeg(0, 200, 100))
    upload_id = await upload(gateway, noise_jpeg(1, 400, 100))
    boxes = [{"bbox": [100, 0, 100, 50], "class": "dog"}, {"bbox": [-0.3, 0, 200.4, 100]}]
    spec = await order(
        gateway,
        {
            "failures": [
                {"image_id": image_id, "boxes": boxes},
                {"upload_id": upload_id, "boxes": [{"bbox": [0, 50, 100, 50]}]},
            ],
            "holdout": {"image_ids": [image_id], "upload_ids": [upload_id]},
        },
    )
    first, second = spec.failures.photos
    assert first.image_id == image_id
    assert (first.missed[0].x_min, first.missed[0].y_min, first.missed[0].x_max, first.missed[0].y_max) == (
        0.5,
        0,
        1,
        0.5,
    )
    assert first.missed[0].class_name == "dog"
    assert (first.missed[1].x_min, first.missed[1].x_max) == (0, 1)  # half a pixel outside is rounding
    assert (second.missed[0].x_max, second.missed[0].y_min) == (0.25, 0.5)
    assert second.given.blob_key == f"uploads/{upload_id}"
    assert [given.blob_key for given in spec.holdout] == [f"uploads/{upload_id}"]
    assert list(spec.holdout_ids) == [image_id]


async def test_ids_are_all_wanted(gateway: Gateway) -> None:
    one = await gateway.add()
    spec = await order(gateway, {"ids": [one, "0" * 64, one]})
    assert (list(spec.ids.image_ids), spec.size) == ([one, "0" * 64], 2)


async def test_the_idempotency_key_goes_along(gateway: Gateway) -> None:
    await order(gateway, {"ids": ["0" * 64]}, **{"Idempotency-Key": "k1"})
    assert gateway.datasets.requests[-1].idempotency_key == "k1"


Q = {"query": [{"text": "a"}]}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "invalid_argument", ""),
        ({**Q, "ids": ["0" * 64]}, "invalid_argument", ""),
        ({**Q, "size": 0}, "size_invalid", "/size"),
        ({**Q, "size": 100_001}, "size_invalid", "/size"),
        ({**Q, "size": "9"}, "size_invalid", "/size"),
        ({**Q, "format": "pascal"}, "format_unknown", "/format"),
        ({**Q, "labels": {"min_score": 1.5}}, "threshold_invalid", "/labels/min_score"),
        ({**Q, "labels": {"thresholds": {"dog": -0.1}}}, "threshold_invalid", "/labels/thresholds/dog"),
        ({**Q, "filter": {"labels": {"all": [{"class": "a", "min_score": 2}]}}}, "filter_invalid",
         "/filter/labels/all/0/min_score"),
        ({**Q, "val_share": 0.95}, "invalid_argument", "/val_share"),
        ({**Q, "diversity": 1.1}, "invalid_argument", "/diversity"),
        ({**Q, "license_type": "free"}, "invalid_argument", "/license_type/all_of/0"),
        ({**Q, "unknown": 1}, "invalid_argument", "/unknown"),
        ({"ids": []}, "invalid_argument", "/ids"),
        ({"ids": ["x"]}, "invalid_argument", "/ids/0"),
        ({"failures": [{}]}, "invalid_argument", "/failures/0"),
        ({"failures": [{"upload_id": "up_1"}]}, "upload_not_found", "/failures/0/upload_id"),
        ({"failures": [{"image_id": "0" * 64}]}, "image_not_found", "/failures/0/image_id"),
        ({**Q, "holdout": {"upload_ids": ["up_1"]}}, "upload_not_found", "/holdout/upload_ids/0"),
    ],
)  # fmt: skip
async def test_bad_orders(gateway: Gateway, body: Any, code: str, pointer: str) -> None:
    answer = await gateway.http.post("/v1/datasets", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404 if code.endswith("not_found") else 422, code), answer.text
    assert problem["errors"][0]["pointer"] == pointer
    assert gateway.datasets.requests == []


@pytest.mark.parametrize("bbox", [[150, 0, 100, 50], [0, 0, 10, 101], [-5, 0, 10, 10], [0, 0, 0, 10], [10, 10, 5, -5]])
async def test_a_box_outside_its_image(gateway: Gateway, bbox: list[float]) -> None:
    image_id = await gateway.add(noise_jpeg(0, 200, 100))
    answer = await gateway.http.post(
        "/v1/datasets", json={"failures": [{"image_id": image_id, "boxes": [{"bbox": bbox}]}]}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "region_invalid"), answer.text
    assert answer.json()["errors"][0]["pointer"] == "/failures/0/boxes/0/bbox"
    assert "200 x 100" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownLabel("no label set has a class 'violin'; did you mean vase?", pointer="/labels/classes"), 422),
        (DatasetEmpty("no image passes all filters: without “label dog” 12, with it alone 0"), 422),
    ],
)
async def test_what_the_service_finds_wrong(gateway: Gateway, error: Any, status: int) -> None:
    gateway.datasets.error = error
    answer = await gateway.http.post("/v1/datasets", json=Q)
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (status, error.code, error.detail)


async def test_the_states_of_a_job(gateway: Gateway) -> None:
    await order(gateway, {"ids": [await gateway.add()]})
    [dataset] = gateway.datasets.made.values()
    dataset.state, dataset.stage, dataset.done, dataset.total = pb.DATASET_STATE_RUNNING, "export", 3, 9
    job = (await gateway.http.get(f"/v1/jobs/{dataset.dataset_id}")).json()
    assert (job["state"], job["stage"], job["done"], job["total"], job["error"]) == ("running", "export", 3, 9, None)
    dataset.state, dataset.error_code, dataset.error_detail = (
        pb.DATASET_STATE_FAILED,
        "storage_full",
        "the disk is full",
    )
    job = (await gateway.http.get(f"/v1/jobs/{dataset.dataset_id}")).json()
    assert (job["state"], job["error"]) == ("failed", {"code": "storage_full", "detail": "the disk is full"})
    assert (await gateway.http.get(f"/v1/datasets/{dataset.dataset_id}")).json()["download"] is None


async def test_answers_fit_the_schema(gateway: Gateway) -> None:
    dataset_id = await finished(gateway)
    for model, path in (
        (schemas.JobAnswer, f"/v1/jobs/{dataset_id}"),
        (schemas.DatasetAnswer, f"/v1/datasets/{dataset_id}"),
        (schemas.DatasetsAnswer, "/v1/datasets"),
    ):
        body = (await gateway.http.get(path)).json()
        parsed = TypeAdapter(model).validate_python(body, strict=True)
        assert TypeAdapter(model).dump_python(parsed) == body
    dataset = (await gateway.http.get(f"/v1/datasets/{dataset_id}")).json()
    assert "/home" not in str(dataset)
    assert [note["code"] for note in dataset["notes"]] == ["image_truncated", "near_copy"]
    job = (await gateway.http.get(f"/v1/jobs/{dataset_id}")).json()
    assert [error["code"] for error in job["errors"]] == ["image_truncated"]


async def test_lists_come_in_pages(gateway: Gateway) -> None:
    for _ in range(5):
        await order(gateway, {"ids": ["0" * 64]})
    found: list[str] = []
    after = ""
    while True:
        page = (await gateway.http.get("/v1/datasets", params={"limit": 2, "after": after})).json()
        found += [dataset["id"] for dataset in page["datasets"]]
        after = page["next_after"]
        if after is None:
            break
    assert found == [dataset_id for _, dataset_id in reversed(gateway.datasets.made)]


async def test_a_download_by_its_link(gateway: Gateway) -> None:
    dataset_id = await finished(gateway)
    download = (await gateway.http.get(f"/v1/datasets/{dataset_id}")).json()["download"]
    assert (download["bytes"], download["sha256"]) == (len(ARCHIVE), hashlib.sha256(ARCHIVE).hexdigest())
    answer = await gateway.http.get(download["url"])
    assert (answer.status_code, answer.content) == (200, ARCHIVE)
    assert answer.headers["content-length"] == str(len(ARCHIVE))
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()}:"
    assert "m%C3%B6wen%20am%20strand.zip" in answer.headers["content-disposition"]
    part = await gateway.http.get(
        download["url"], headers={"Range": "bytes=100-199", "If-Range": answer.headers["etag"]}
    )
    assert (part.status_code, part.content) == (206, ARCHIVE[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(ARCHIVE)}"
    head = await gateway.http.head(download["url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(ARCHIVE)), b"")
    same = await gateway.http.get(download["url"], headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    beyond = await gateway.http.get(download["url"], headers={"Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda url: url.replace("token=", "token=A"), 403, "link_invalid"),
        (lambda url: url.partition("?")[0], 422, "missing"),
        (lambda url: url + "&x=1", 422, "invalid_argument"),
    ],
)
async def test_other_links(gateway: Gateway, change: Callable[[str], str], status: int, code: str) -> None:
    dataset_id = await finished(gateway)
    url = (await gateway.http.get(f"/v1/datasets/{dataset_id}")).json()["download"]["url"]
    answer = await gateway.http.get(change(url))
    assert answer.status_code == status
    assert code in answer.text


async def test_what_is_not_there(gateway: Gateway) -> None:
    for path, code in (("datasets", "dataset_not_found"), ("jobs", "job_not_found")):
        answer = await gateway.http.get(f"/v1/{path}/ds_0")
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    dataset_id = await finished(gateway)
    url = (await gateway.http.get(f"/v1/datasets/{dataset_id}")).json()["download"]["url"]
    assert (await gateway.http.delete(f"/v1/datasets/{dataset_id}")).status_code == 204
    for gone in (await gateway.http.delete(f"/v1/datasets/{dataset_id}"), await gateway.http.get(url)):
        assert (gone.status_code, gone.json()["code"]) == (404, "dataset_not_found")
