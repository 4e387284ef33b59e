"""`python -m kindred_detector`: serve gRPC until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

from kindred_detector.app import Adapters, build
from kindred_detector.settings import DetectorSettings
from kindred_kit.process import ProcessSettings, open_blobs, open_bus, open_inference, serve
from kindred_kit.rpc import open_channel


async def main() -> None:
    settings, process = DetectorSettings(), ProcessSettings()
    async with AsyncExitStack() as stack:
        models, inference = await open_inference(stack, process)
        blobs, bus = await open_blobs(stack, process), await open_bus(stack, process)
        search = await stack.enter_async_context(open_channel(process.search_address))
        app = await build(settings, Adapters(inference, models, blobs, bus, search))
        await serve("detector", app, process)


asyncio.run(main())
