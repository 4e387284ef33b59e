"""The gateway under test and the fakes behind it."""

from dataclasses import dataclass

import httpx
from support.fakes import MemoryBlobs
from support.photos import noise_jpeg
from unit.gateway.fake_datasets import FakeDatasets
from unit.gateway.fake_services import FakeDetector, FakeEmbedder, FakeSearch

from kindred_gateway.app import App
from kindred_kit.rpc import RpcServer


@dataclass
class Gateway:
    """The app, a client of it, and the fakes behind it. `servers` by service name, to take one down."""

    app: App
    http: httpx.AsyncClient
    blobs: MemoryBlobs
    embedder: FakeEmbedder
    detector: FakeDetector
    search: FakeSearch
    datasets: FakeDatasets
    servers: dict[str, RpcServer]

    async def add(self, data: bytes | None = None, **fields: str) -> str:
        """Take in an image; its id."""
        answer = await self.http.post("/v1/images", files={"file": ("photo.jpg", data or noise_jpeg(0))}, data=fields)
        assert answer.status_code in {200, 201, 202}, answer.text
        return str(answer.json()["id"])
