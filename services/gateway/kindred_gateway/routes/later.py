"""Paths of the API's design that are not built yet: said so, never pretended."""

from fastapi import APIRouter
from starlette.responses import Response

from kindred_gateway.problems import RouteNotBuilt

router = APIRouter(include_in_schema=False)


@router.post("/v1/matches", response_model=None)
@router.post("/knn-service", response_model=None)
async def later() -> Response:
    raise RouteNotBuilt("this path is designed, but not available yet")
