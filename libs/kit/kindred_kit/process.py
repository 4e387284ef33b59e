"""What the `__main__` of every service shares: adapters by URL, and serving until SIGTERM."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, Protocol

import grpc
from pydantic import SecretStr

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
from kindred_kit.settings import Settings
from kindred_kit.telemetry import configure_logging, get_logger


class BusSettings(Settings):
    """`KINDRED_BUS_*`: where the event bus is, and how it is reached."""

    bus_url: str = "sqlite://./data/bus.db"
    bus_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    bus_ca_file: Path | None = None
    bus_username: str = ""
    """With SASL, by SCRAM-SHA-512."""
    bus_password: SecretStr = SecretStr("")

    @property
    def bus_options(self) -> Mapping[str, Any]:
        """What kafka-python calls them."""
        options: dict[str, Any] = {"security_protocol": self.bus_security}
        if self.bus_ca_file is not None:
            options["ssl_cafile"] = str(self.bus_ca_file)
        if self.bus_security.startswith("SASL"):
            password = self.bus_password.get_secret_value()
            options |= {"sasl_plain_username": self.bus_username, "sasl_plain_password": password}
            options["sasl_mechanism"] = "SCRAM-SHA-512"
        return options


class ProcessSettings(InferenceSettings, BusSettings):
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
    blobs_endpoint: str = ""
    """Of an S3 that is not Amazon's."""
    blobs_region: str = ""
    blobs_access_key: str = ""
    blobs_secret_key: SecretStr = SecretStr("")
    log_level: str = "info"
    log_json: bool = True

    @property
    def blob_options(self) -> Mapping[str, str]:
        """Of ObjectBlobStore.from_url."""
        return {
            "endpoint": self.blobs_endpoint,
            "region": self.blobs_region,
            "access_key_id": self.blobs_access_key,
            "secret_access_key": self.blobs_secret_key.get_secret_value(),
        }


class App(Protocol):
    """What every service's `build` returns."""

    registrations: Sequence[Registration]

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def open_blobs(stack: AsyncExitStack, process: ProcessSettings) -> BlobStore:
    blobs = FileReferences(ObjectBlobStore.from_url(process.blobs_url, **process.blob_options))
    stack.push_async_callback(blobs.aclose)
    return blobs


async def open_bus(stack: AsyncExitStack, process: ProcessSettings) -> Bus:
    bus = bus_at(process)
    stack.push_async_callback(bus.aclose)
    return bus


def bus_at(settings: BusSettings) -> Bus:
    """Raises InvalidArgument."""
    scheme, _, rest = settings.bus_url.partition("://")
    if scheme == "sqlite":
        return SqliteBus(Path(rest))
    if scheme != "kafka":
        raise InvalidArgument(f"KINDRED_BUS_URL: no adapter for {scheme}://; there are sqlite:// and kafka://")
    from kindred_kit.adapters.kafka_bus import KafkaBus  # a laptop never imports it
    from kindred_kit.adapters.kafka_client import KafkaSettings

    return KafkaBus(KafkaSettings.from_url(settings.bus_url, settings.bus_options))


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
