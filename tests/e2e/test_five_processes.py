"""The five services as five processes, each by its own `python -m`, wired by addresses as in a cluster."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.paths import MODELS
from support.photos import skimage_photo
from support.servers import free_port

from kindred.detector.v1 import detector_pb2, detector_pb2_grpc
from kindred_kit.rpc import open_channel


@pytest.fixture(params=["embedded", "cluster"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Where blobs, events and catalogues are: files, or the servers of a cluster."""
    if request.param == "embedded":
        return {
            "KINDRED_BLOBS_URL": f"file://{tmp_path}/blobs",
            "KINDRED_BUS_URL": f"sqlite://{tmp_path}/bus.db",
            "KINDRED_DATABASE_URL": f"sqlite:///{tmp_path}/catalogue.db",
            "KINDRED_DATASETS_DATABASE_URL": f"sqlite:///{tmp_path}/datasets.db",
        }
    kafka, postgres, s3 = [request.getfixturevalue(name) for name in ("kafka", "postgres", "s3")]
    bucket = s3.bucket("kindred")
    return {
        "KINDRED_BLOBS_URL": "s3://kindred/gallery",
        "KINDRED_BLOBS_ENDPOINT": bucket["endpoint"],
        "KINDRED_BLOBS_REGION": bucket["region"],
        "KINDRED_BLOBS_ACCESS_KEY": bucket["access_key_id"],
        "KINDRED_BLOBS_SECRET_KEY": bucket["secret_access_key"],
        "KINDRED_BUS_URL": f"{kafka.url}?partitions=4",
        "KINDRED_DATABASE_URL": postgres.database(tmp_path / "catalogue.db"),
        "KINDRED_DATASETS_DATABASE_URL": postgres.database(tmp_path / "catalogue.db"),
    }


@pytest.fixture
def addresses(tmp_path: Path, engines: dict[str, str]) -> Iterator[dict[str, str]]:
    ports = {name: free_port() for name in ("search", "embedder", "detector", "datasets", "gateway")}
    shared = {
        **{f"KINDRED_{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in ports.items()},
        "KINDRED_MODELS_DIR": str(MODELS),
        **engines,
        "KINDRED_DATASETS_WORK_DIR": f"{tmp_path}/work",
        "KINDRED_LINK_SECRET": "shared by all gateways",
        "KINDRED_VECTORS_DIR": f"{tmp_path}/vectors",
        "KINDRED_CALIBRATIONS_DIR": f"{tmp_path}/calibrations",
        "KINDRED_PORT": str(ports["gateway"]),
    }
    with ExitStack() as stack:
        for name, port in ports.items():
            environment = {**os.environ, **shared, "KINDRED_LISTEN": f"127.0.0.1:{port}"}
            log = stack.enter_context((tmp_path / f"{name}.log").open("w"))
            process = subprocess.Popen([sys.executable, "-m", f"kindred_{name}"], env=environment, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the services did not become ready")


async def test_an_image_posted_to_one_process_is_found_through_all(addresses: dict[str, str], tmp_path: Path) -> None:
    with httpx.Client(base_url=f"http://{addresses['gateway']}", timeout=60) as client:
        wait_until_ready(client)
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
