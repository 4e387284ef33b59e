"""The five services as processes of their own, on the engines of a cluster or on files."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from support.kafka_server import KafkaServer
from support.paths import MODELS
from support.postgres_server import PostgresServer
from support.s3_server import S3Server
from support.servers import free_port

SERVICES = ("search", "embedder", "detector", "datasets", "gateway")
_START_S = 90


def files(folder: Path) -> dict[str, str]:
    """Settings of the embedded engines that processes can share."""
    return {
        "KINDRED_BLOBS_URL": f"file://{folder}/blobs",
        "KINDRED_BUS_URL": f"sqlite://{folder}/bus.db",
        "KINDRED_DATABASE_URL": f"sqlite:///{folder}/catalogue.db",
        "KINDRED_DATASETS_DATABASE_URL": f"sqlite:///{folder}/datasets.db",
    }


def servers(folder: Path, kafka: KafkaServer, postgres: PostgresServer, s3: S3Server) -> dict[str, str]:
    """Settings of a cluster's engines; `folder` names the gallery in them."""
    bucket = s3.bucket("kindred")
    database = postgres.database(folder / "catalogue.db")
    return {
        "KINDRED_BLOBS_URL": "s3://kindred/gallery",
        "KINDRED_BLOBS_ENDPOINT": bucket["endpoint"],
        "KINDRED_BLOBS_REGION": bucket["region"],
        "KINDRED_BLOBS_ACCESS_KEY": bucket["access_key_id"],
        "KINDRED_BLOBS_SECRET_KEY": bucket["secret_access_key"],
        "KINDRED_BUS_URL": f"{kafka.url}?partitions=4",
        "KINDRED_DATABASE_URL": database,
        "KINDRED_DATASETS_DATABASE_URL": database,
    }


@contextmanager
def services(folder: Path, engines: Mapping[str, str], gateway_port: int | None = None) -> Iterator[dict[str, str]]:
    """Name -> address of each, from their start to the end of the block; logs are in `folder`."""
    ports = {name: free_port() for name in SERVICES} | ({"gateway": gateway_port} if gateway_port else {})
    shared = {
        **{f"KINDRED_{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in ports.items()},
        "KINDRED_MODELS_DIR": str(MODELS),
        **engines,
        "KINDRED_DATASETS_WORK_DIR": f"{folder}/work",
        "KINDRED_LINK_SECRET": "shared by all gateways",
        "KINDRED_VECTORS_DIR": f"{folder}/vectors",
        "KINDRED_CALIBRATIONS_DIR": f"{folder}/calibrations",
        "KINDRED_PORT": str(ports["gateway"]),
    }
    with ExitStack() as stack:
        for name, port in ports.items():
            environment = {**os.environ, **shared, "KINDRED_LISTEN": f"127.0.0.1:{port}"}
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen([sys.executable, "-m", f"kindred_{name}"], env=environment, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def wait_until_ready(client: httpx.Client) -> None:
    """Until the gateway reaches all others."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the services did not become ready")
