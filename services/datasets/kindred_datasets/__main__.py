"""`python -m kindred_datasets`: serve gRPC and build data sets until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

from kindred_datasets.app import Adapters, build
from kindred_datasets.settings import BUILD_DEADLINE, DatasetSettings
from kindred_kit.adapters.sql import open_engine
from kindred_kit.process import ProcessSettings, open_blobs, serve
from kindred_kit.rpc import open_channel


async def main() -> None:
    settings, process = DatasetSettings(), ProcessSettings()
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.datasets_database_url)
        stack.callback(engine.dispose)
        blobs = await open_blobs(stack, process)
        embedder, search = [
            await stack.enter_async_context(open_channel(address, BUILD_DEADLINE))
            for address in (process.embedder_address, process.search_address)
        ]
        app = await build(settings, Adapters(engine, blobs, embedder, search))
        await serve("datasets", app, process)


asyncio.run(main())
