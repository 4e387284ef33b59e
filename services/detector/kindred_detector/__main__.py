"""`python -m kindred_detector`: serve gRPC until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

from kindred_detector.app import Adapters, build
from kindred_detector.settings import DetectorSettings
from kindred_kit.process import ProcessSettings, open_blobs, open_inference, serve


async def main() -> None:
    settings, process = DetectorSettings(), ProcessSettings()
    async with AsyncExitStack() as stack:
        models, inference = await open_inference(stack, process)
        blobs = await open_blobs(stack, process)
        app = await build(settings, Adapters(inference, models, blobs))
        await serve("detector", app, process)


asyncio.run(main())
