"""`python -m kindred_search`: serve gRPC, publish and project until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

from kindred_kit.process import ProcessSettings, load_models, open_blobs, open_bus, serve
from kindred_search.app import Adapters, build
from kindred_search.catalogue.engine import open_engine
from kindred_search.settings import SearchSettings
from kindred_search.vectors.lancedb_store import LanceDbStore


async def main() -> None:
    process = ProcessSettings()
    models = load_models(process)
    settings = SearchSettings(label_sets=models.label_sets, calibration_files=models.calibration_files)
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_url)
        stack.callback(engine.dispose)
        vectors = LanceDbStore(settings.vectors_dir)
        stack.push_async_callback(vectors.aclose)
        blobs, bus = await open_blobs(stack, process), await open_bus(stack, process)
        app = await build(settings, Adapters(engine, vectors, blobs, bus))
        await serve("search", app, process)


asyncio.run(main())
