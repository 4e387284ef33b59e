"""The four services as four processes, each by its own `python -m`, wired by addresses as in a cluster."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from support.paths import MODELS
from support.photos import skimage_photo


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    ports = {name: free_port() for name in ("search", "embedder", "detector", "gateway")}
    shared = {
        **{f"KINDRED_{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in ports.items()},
        "KINDRED_MODELS_DIR": str(MODELS),
        "KINDRED_BLOBS_URL": f"file://{tmp_path}/blobs",
        "KINDRED_BUS_URL": f"sqlite://{tmp_path}/bus.db",
        "KINDRED_DATABASE_URL": f"sqlite:///{tmp_path}/catalogue.db",
        "KINDRED_VECTORS_DIR": f"{tmp_path}/vectors",
        "KINDRED_PORT": str(ports["gateway"]),
    }
    with ExitStack() as stack:
        for name, port in ports.items():
            environment = {**os.environ, **shared, "KINDRED_LISTEN": f"127.0.0.1:{port}"}
            log = stack.enter_context((tmp_path / f"{name}.log").open("w"))
            process = subprocess.Popen([sys.executable, "-m", f"kindred_{name}"], env=environment, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield f"http://127.0.0.1:{ports['gateway']}"


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


def test_an_image_posted_to_one_process_is_found_through_all(url: str) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        wait_until_ready(client)
        for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
            answer = client.post("/v1/images?wait=50", files={"file": (name, skimage_photo(name))})
            assert answer.status_code == 201, answer.text
        hits = client.get("/v1/search", params={"q": "a cat", "label": "cat"}).raise_for_status().json()["results"]
        assert [hit["file_name"] for hit in hits] == ["chelsea.png"]
        found = client.post("/v1/detect", files={"file": ("c.png", skimage_photo("chelsea.png"))})
        assert found.json()["labels"][0]["class"] == "cat"
