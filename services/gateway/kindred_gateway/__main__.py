"""Run the gateway alone: `python -m kindred_gateway`, settings from `KINDRED_*`."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import uvicorn

from kindred_gateway.app import Adapters, build
from kindred_gateway.http_protocol import BoundedHttpProtocol
from kindred_gateway.settings import GatewaySettings
from kindred_kit.process import ProcessSettings, open_blobs
from kindred_kit.rpc import open_channel
from kindred_kit.telemetry import configure_logging


async def main() -> None:
    settings, process = GatewaySettings(), ProcessSettings()
    configure_logging(level=process.log_level, json=process.log_json)
    deadline = timedelta(seconds=settings.rpc_timeout_s)
    addresses = (process.embedder_address, process.detector_address, process.search_address, process.datasets_address)
    async with AsyncExitStack() as stack:
        embedder, detector, search, datasets = [
            await stack.enter_async_context(open_channel(address, deadline)) for address in addresses
        ]
        app = await build(settings, Adapters(embedder, detector, search, datasets, await open_blobs(stack, process)))
        stack.push_async_callback(app.aclose)
        await app.start()
        config = uvicorn.Config(
            app.asgi,
            settings.host,
            settings.port,
            http=BoundedHttpProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
        )
        await uvicorn.Server(config).serve()  # ends on SIGINT and SIGTERM, after requests in flight


asyncio.run(main())
