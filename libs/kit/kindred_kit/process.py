"""What the `__main__` of every service shares: adapters by URL, and serving until SIGTERM."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import grpc

from kindred_kit.adapters.file_references import FileReferences
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.adapters.sqlite_bus import SqliteBus
from kindred_kit.errors import InvalidArgument, ModelInvalid, ModelNotPulled, SpaceMismatch
from kindred_kit.inference import InferenceSettings, open_inference
from kindred_kit.lifecycle import wait_for_signal
from kindred_kit.memory import leave_out_of_collections, return_freed_memory
from kindred_kit.models import ModelSet
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.ports.bus import Bus
from kindred_kit.ports.inference import Inference
from kindred_kit.rpc import open_channel
from kindred_kit.rpc.server import Registration, RpcServer
from kindred_kit.telemetry import configure_logging, get_logger


class ProcessSettings(InferenceSettings):
    """`KINDRED_*`: where a service listens and where the others and the engines are."""

    listen: str = "127.0.0.1:0"
    search_address: str = "127.0.0.1:7001"
    embedder_address: str = "127.0.0.1:7002"
    detector_address: str = "127.0.0.1:7003"
    datasets_address: str = "127.0.0.1:7004"
    models_dir: Path = Path("triton_models")
    own_models_dir: Path | None = None
    """Model folders of the user's own, beside those of `models_dir`."""
    model_store_dir: Path | None = None
    """Where `kindred models pull` put weights; default: the platform's directory for user data."""
    profile: str = "lite"
    blobs_url: str = "file://./data/blobs"
    bus_url: str = "sqlite://./data/bus.db"
    log_level: str = "info"
    log_json: bool = True


class App(Protocol):
    """What every service's `build` returns."""

    registrations: Sequence[Registration]

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def open_blobs(stack: AsyncExitStack, process: ProcessSettings) -> BlobStore:
    blobs = FileReferences(ObjectBlobStore.from_url(process.blobs_url))
    stack.push_async_callback(blobs.aclose)
    return blobs


async def open_bus(stack: AsyncExitStack, process: ProcessSettings) -> Bus:
    scheme, _, rest = process.bus_url.partition("://")
    if scheme != "sqlite":
        raise InvalidArgument(f"KINDRED_BUS_URL: no adapter for {scheme}://; there is sqlite://")
    bus = SqliteBus(Path(rest))
    stack.push_async_callback(bus.aclose)
    return bus


def load_models(process: ProcessSettings) -> ModelSet:
    return ModelSet.load(process.models_dir, process.own_models_dir, process.model_store_dir)


async def serve_models(
    name: str, build: Callable[[Inference, ModelSet, BlobStore, Bus, grpc.aio.Channel], Awaitable[App]]
) -> None:
    """The whole life of a service that runs models: adapters, the channel to search last, and serving until SIGTERM."""
    process = ProcessSettings()
    async with AsyncExitStack() as stack:
        try:
            models, inference = await open_inference(stack, load_models(process), process.profile, process)
        except (ModelInvalid, ModelNotPulled, SpaceMismatch) as error:
            raise SystemExit(f"{name} does not start: {error.detail}") from None
        blobs, bus = await open_blobs(stack, process), await open_bus(stack, process)
        search = await stack.enter_async_context(open_channel(process.search_address))
        await serve(name, await build(inference, models, blobs, bus, search), process)


async def serve(name: str, app: App, process: ProcessSettings) -> None:
    """Serve until SIGINT or SIGTERM, then let calls in flight end."""
    return_freed_memory()
    configure_logging(level=process.log_level, json=process.log_json)
    server = RpcServer(name, app.registrations)
    await app.start()
    address = await server.start(process.listen)
    leave_out_of_collections()
    get_logger(name).info("serving", address=address)
    try:
        await wait_for_signal()
    finally:
        await server.aclose()
        await app.aclose()
