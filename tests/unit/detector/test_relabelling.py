"""One relabelling at a time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from support.fakes import MemoryBlobs
from support.paths import MODELS

from kindred.search.v1 import search_pb2
from kindred_detector.options import DetectOptions
from kindred_detector.relabelling import Relabeller
from kindred_kit.errors import InvalidArgument, Unavailable
from kindred_kit.models import ModelSet


class SlowSearch:
    """Has nothing to do, and says so once it may."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def ListBacklog(self, request: Any) -> search_pb2.ListBacklogResponse:
        self.asked.set()
        await self.answer.wait()
        return search_pb2.ListBacklogResponse(total=5)


async def test_a_second_one_is_refused_and_may_come_afterwards() -> None:
    [model] = ModelSet.load(MODELS).detectors("lite")
    search: Any = SlowSearch()
    detector: Any = SimpleNamespace(models={model.name: model}, default=model)
    relabeller = Relabeller(detector, MemoryBlobs(), search, 2)

    async def run(options: DetectOptions) -> Any:
        return [step async for step in relabeller.run(options, 0)][-1]

    with pytest.raises(InvalidArgument):
        await run(DetectOptions(models=("absent",)))
    first = asyncio.create_task(run(DetectOptions()))
    await search.asked.wait()
    with pytest.raises(Unavailable, match="running already"):
        await run(DetectOptions())
    search.answer.set()
    for last in (await first, await run(DetectOptions())):
        assert (last.done, last.total, last.finished, last.run) == (5, 5, True, f"{model.name}/{model.version}")
