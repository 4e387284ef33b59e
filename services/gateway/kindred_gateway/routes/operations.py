"""Status, health, metrics, the API's own description."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from kindred.detector.v1 import detector_pb2
from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2
from kindred_gateway.answers import json_answer, problems
from kindred_gateway.health import part_states
from kindred_gateway.parts import PartsDep
from kindred_gateway.principals import PrincipalDep
from kindred_gateway.problems import problem_response
from kindred_gateway.schemas import HealthAnswer, ReadyAnswer, StatusAnswer
from kindred_kit.errors import KindredError, Unavailable

router = APIRouter(tags=["operations"])
T = TypeVar("T")
_CAN_WAIT = {"datasets"}
"""Parts without which a gateway is still worth its traffic."""


@router.get("/v1/status", responses={200: {"model": StatusAnswer}, **problems()}, response_model=None)
async def get_status(parts: PartsDep, principal: PrincipalDep) -> Response:
    """How far indexing has come, which models serve, which parts are up."""
    timeout_s = parts.settings.readiness_timeout_s
    status, embedder, detector, states = await asyncio.gather(
        parts.search.GetStatus(search_pb2.GetStatusRequest(principal=principal)),
        _if_up(parts.embedder.GetInfo(embedder_pb2.GetInfoRequest(), timeout=timeout_s)),
        _if_up(parts.detector.GetInfo(detector_pb2.GetInfoRequest(), timeout=timeout_s)),
        part_states(parts.channels, timeout_s),
    )
    return json_answer(
        {
            "images": {
                "total": status.images,
                "indexed": status.indexed,
                "pending": status.pending,
                "failed": status.failed,
            },
            "index": {
                "version": status.index_version,
                "rows": status.index_rows,
                "space": status.space,
                "dimension": status.dimension,
            },
            "outbox": status.outbox,
            "embedder": {
                "profile": embedder.profile,
                "space": embedder.space,
                "image_model": embedder.image_model,
                "text_model": embedder.text_model,
            }
            if embedder is not None
            else None,
            "detector": {
                "model": f"{detector.model_name}/{detector.model_version}",
                "label_sets": [label_set.name for label_set in detector.label_sets],
            }
            if detector is not None
            else None,
            "parts": states,
        }
    )


@router.get("/healthz", responses={200: {"model": HealthAnswer}}, response_model=None)
async def healthz() -> Response:
    """The gateway runs."""
    return json_answer({"status": "ok"})


@router.get("/readyz", responses={200: {"model": ReadyAnswer}, **problems()}, response_model=None)
async def readyz(request: Request, parts: PartsDep) -> Response:
    """The gateway and all parts that a search needs answer."""
    states = await part_states(parts.channels, parts.settings.readiness_timeout_s)
    if any(state == "down" for name, state in states.items() if name not in _CAN_WAIT):
        error = Unavailable("a part is down")
        return problem_response(error, request.url.path, parts.settings.retry_after_s, {"parts": states})
    return json_answer({"status": "ok", "parts": states})


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text"}},
    response_model=None,
)
async def metrics() -> Response:
    """Metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _if_up(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except KindredError:
        return None
