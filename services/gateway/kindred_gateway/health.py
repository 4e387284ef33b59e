"""Whether the services behind the gateway answer, by gRPC health checks with a deadline."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kindred_kit.errors import KindredError

PartState = Literal["up", "down"]


async def part_states(channels: Mapping[str, grpc.aio.Channel], timeout_s: float) -> dict[str, PartState]:
    """Service name -> up or down; all are asked at once."""
    states = await asyncio.gather(*(_state(channel, timeout_s) for channel in channels.values()))
    return dict(zip(channels, states, strict=True))


async def _state(channel: grpc.aio.Channel, timeout_s: float) -> PartState:
    try:
        request = health_pb2.HealthCheckRequest(service="")
        response = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
    except (KindredError, grpc.RpcError):
        return "down"
    return "up" if response.status == health_pb2.HealthCheckResponse.SERVING else "down"
