"""Long work goes on when the process that owned the data directory ends."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from kindred_kit.errors import InvalidArgument, Unavailable
from kindred_standalone import connect
from kindred_standalone.connect import Node, Session


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_RETRY_S", 0.001)


class Opener:
    """Opens nodes: clients first, the owner at last."""

    def __init__(self, clients: int) -> None:
        self.clients = clients
        self.opened: list[Any] = []
        self.closed = 0

    async def __call__(self, stack: AsyncExitStack) -> Node:
        def count() -> None:
            self.closed += 1

        stack.callback(count)
        node: Any = SimpleNamespace(is_owner=len(self.opened) >= self.clients, owner=SimpleNamespace(pid=1))
        self.opened.append(node)
        return node  # type: ignore[no-any-return]


async def only_for_owners(node: Node) -> str:
    if not node.is_owner:
        raise Unavailable("gone")
    return "done"


async def test_a_client_takes_over() -> None:
    opener = Opener(clients=2)
    async with Session(opener) as session:
        assert await session.call(only_for_owners) == "done"
        assert session.node.is_owner
    assert (len(opener.opened), opener.closed) == (3, 3)


async def test_many_calls_at_once_reopen_once() -> None:
    opener = Opener(clients=1)
    async with Session(opener) as session:
        assert await asyncio.gather(*(session.call(only_for_owners) for _ in range(20))) == ["done"] * 20
    assert len(opener.opened) == 2


async def test_an_owners_own_failure_is_not_repeated() -> None:
    async def fails(_: Node) -> None:
        raise Unavailable("the disk is full")

    async with Session(Opener(clients=0)) as session:
        with pytest.raises(Unavailable, match="disk"):
            await session.call(fails)


async def test_other_errors_pass() -> None:
    async def fails(_: Node) -> None:
        raise InvalidArgument("no")

    opener = Opener(clients=1)
    async with Session(opener) as session:
        with pytest.raises(InvalidArgument):
            await session.call(fails)
    assert len(opener.opened) == 1


async def test_it_gives_up_in_the_end() -> None:
    opener = Opener(clients=10**9)
    async with Session(opener) as session:
        with pytest.raises(Unavailable):
            await session.call(only_for_owners)
    assert opener.closed == len(opener.opened) < 50
