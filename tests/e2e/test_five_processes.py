"""The five services as five processes, each by its own `python -m`, wired by addresses as in a cluster."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import cluster
from support.photos import skimage_photo

from kindred.detector.v1 import detector_pb2, detector_pb2_grpc
from kindred_kit.rpc import open_channel


@pytest.fixture(params=["files", "servers"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "files":
        return cluster.files(tmp_path)
    return cluster.servers(tmp_path, *[request.getfixturevalue(name) for name in ("kafka", "postgres", "s3")])


@pytest.fixture
def addresses(tmp_path: Path, engines: dict[str, str]) -> Iterator[dict[str, str]]:
    with cluster.services(tmp_path, engines) as running:
        yield running


async def test_an_image_posted_to_one_process_is_found_through_all(addresses: dict[str, str], tmp_path: Path) -> None:
    with httpx.Client(base_url=f"http://{addresses['gateway']}", timeout=60) as client:
        cluster.wait_until_ready(client)
        for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
            answer = client.post("/v1/images?wait=50", files={"file": (name, skimage_photo(name))})
            assert answer.status_code == 201, answer.text
        hits = client.get("/v1/search", params={"q": "a cat", "label": "cat"}).raise_for_status().json()["results"]
        assert [hit["file_name"] for hit in hits] == ["chelsea.png"]
        found = client.post("/v1/detect", files={"file": ("c.png", skimage_photo("chelsea.png"))})
        assert found.json()["labels"][0]["class"] == "cat"
        made = client.post("/v1/datasets", json={"query": [{"text": "a cat"}], "size": 2, "val_share": 0.5})
        assert made.status_code == 202, made.text
        job = wait_for_job(client, made.headers["location"])
        assert (job["state"], job["error"]) == ("done", None)
        dataset = client.get(job["urls"]["self"]).json()
        archive = client.get(dataset["download"]["url"]).content
        assert hashlib.sha256(archive).hexdigest() == dataset["download"]["sha256"]
        with zipfile.ZipFile(io.BytesIO(archive)) as written:
            assert json.loads(written.read("manifest.json"))["made_from"]["query"] == "a cat"
            assert len([name for name in written.namelist() if name.endswith((".jpg", ".png"))]) == 2

        # the operator labels again, and a calibration of those labels is a file that the search service reads
        async with open_channel(addresses["detector"]) as channel:
            request = detector_pb2.RelabelRequest(augmentation=detector_pb2.Augmentation(flip=True))
            steps = [step async for step in detector_pb2_grpc.DetectorServiceStub(channel).Relabel(request)]
        assert (steps[0].done, steps[-1].done, steps[-1].failed, steps[-1].finished) == (0, 3, 0, True)
        (tmp_path / "calibrations").mkdir()
        known = {"label_set": "coco-80", "run": steps[-1].run, "precisions": {"cat": {"0.9": 0.3}, "dog": {}}}
        (tmp_path / "calibrations" / "tta.json").write_text(json.dumps(known))
        [hit] = sure(client, "cat").raise_for_status().json()["results"]
        assert {label["source"] for label in hit["labels"]} == {"tta"}
        assert sure(client, "dog").json()["code"] == "precision_unavailable"


def sure(client: httpx.Client, name: str) -> httpx.Response:
    label = {"class": name, "min_precision": 0.9}
    return client.post("/v1/search", json={"filter": {"labels": {"all": [label]}}})


def wait_for_job(client: httpx.Client, location: str) -> Any:
    while (job := client.get(location).json())["state"] in {"queued", "running"}:
        time.sleep(0.1)
    return job
