"""Run the gateway alone: `python -m kindred_gateway`, settings from `KINDRED_*`."""

import asyncio
from datetime import timedelta

import uvicorn

from kindred_gateway.app import Adapters, build
from kindred_gateway.settings import GatewaySettings
from kindred_kit.adapters.file_references import FileReferences
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.rpc import open_channel
from kindred_kit.telemetry import configure_logging


async def main() -> None:
    configure_logging(json=True)
    settings = GatewaySettings()
    deadline = timedelta(seconds=settings.rpc_timeout_s)
    addresses = (settings.embedder_address, settings.detector_address, settings.search_address)
    embedder, detector, search = (open_channel(address, deadline) for address in addresses)
    blobs = FileReferences(ObjectBlobStore.from_url(settings.blobs_url))
    app = await build(settings, Adapters(embedder, detector, search, blobs))
    config = uvicorn.Config(
        app.asgi, settings.host, settings.port, lifespan="off", access_log=False, server_header=False
    )
    await app.start()
    try:
        await uvicorn.Server(config).serve()  # ends on SIGINT and SIGTERM, after requests in flight
    finally:
        await app.aclose()
        for channel in (embedder, detector, search):
            await channel.close()
        await blobs.aclose()


if __name__ == "__main__":
    asyncio.run(main())
