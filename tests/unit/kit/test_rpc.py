"""gRPC, both ends: errors keep their code, request ids travel, nothing waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from kindred.embedder.v1 import embedder_pb2 as pb
from kindred.embedder.v1 import embedder_pb2_grpc
from kindred_kit.context import request_id_var
from kindred_kit.errors import DeadlineExceeded, ImageTruncated, KindredError, Status, Unavailable
from kindred_kit.rpc import RpcServer, open_channel
from kindred_kit.rpc.server import Registration

NAME = "kindred.embedder.v1.EmbedderService"


class Servicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Answers, or raises what the first text says."""

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Any) -> pb.EmbedTextResponse:
        match request.texts[0]:
            case "truncated":
                raise ImageTruncated("cut", pointer="/query/0")
            case "bug":
                raise ZeroDivisionError("secret detail")
            case "slow":
                await asyncio.sleep(5)
        return pb.EmbedTextResponse(space=request_id_var.get())


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    registration = Registration(NAME, Servicer(), embedder_pb2_grpc.add_EmbedderServiceServicer_to_server)
    server = RpcServer("embedder", [registration])
    yield await server.start(f"unix:{tmp_path}/s.sock")
    await server.aclose(timedelta(0))


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(address, timedelta(seconds=1)) as channel:
        yield channel


async def test_a_service_whose_models_are_down_is_not_serving(tmp_path: Path) -> None:
    ready = True

    async def is_ready() -> bool:
        return ready

    add = embedder_pb2_grpc.add_EmbedderServiceServicer_to_server
    server = RpcServer("embedder", [Registration(NAME, Servicer(), add, is_ready)])
    async with open_channel(await server.start(f"unix:{tmp_path}/ready.sock")) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for expected in ("SERVING", "NOT_SERVING", "SERVING"):
            ready = expected == "SERVING"
            for name in ("", NAME):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
                assert health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == expected
    await server.aclose(timedelta(0))


async def ask(channel: grpc.aio.Channel, text: str, **options: Any) -> str:
    stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
    return (await stub.EmbedText(pb.EmbedTextRequest(texts=[text]), **options)).space


async def test_an_error_crosses_with_code_status_detail_and_pointer(channel: grpc.aio.Channel) -> None:
    with pytest.raises(ImageTruncated) as raised:
        await ask(channel, "truncated")
    assert (raised.value.code, raised.value.detail, raised.value.pointer) == ("image_truncated", "cut", "/query/0")
    assert raised.value.status is Status.UNPROCESSABLE


async def test_a_bug_is_internal_and_tells_nothing(channel: grpc.aio.Channel) -> None:
    with pytest.raises(KindredError) as raised:
        await ask(channel, "bug")
    assert raised.value.code == "internal"
    assert "secret" not in raised.value.detail


async def test_the_request_id_travels(channel: grpc.aio.Channel) -> None:
    request_id_var.set("req_test")
    assert await ask(channel, "hello") == "req_test"


async def test_a_slow_part_runs_into_the_deadline(channel: grpc.aio.Channel) -> None:
    with pytest.raises(DeadlineExceeded):
        await ask(channel, "slow", timeout=0.05)


async def test_the_default_deadline_holds(address: str) -> None:
    async with open_channel(address, timedelta(seconds=0.05)) as channel:
        with pytest.raises(DeadlineExceeded):
            await ask(channel, "slow")


async def test_a_part_that_is_down_is_unavailable(tmp_path: Path) -> None:
    async with open_channel(f"unix:{tmp_path}/nobody.sock") as channel:
        with pytest.raises(Unavailable):
            await ask(channel, "hello")


async def test_health_and_reflection_answer(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as plain:
        health = health_pb2_grpc.HealthStub(plain)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=NAME))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(plain)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for response in reflection.ServerReflectionInfo(iter([request])):
            assert NAME in [service.name for service in response.list_services_response.service]
            return
    pytest.fail("no answer from reflection")
