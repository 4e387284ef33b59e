import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from kindred_kit.errors import InvalidArgument, Unavailable
from kindred_kit.grouping import Grouping

LONG, SHORT = timedelta(minutes=1), timedelta(milliseconds=5)


class Log:
    """Remembers the groups; refuses those with an item in `bad`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[list[str]] = []
        self.bad: set[str] = set()
        self.error = error or InvalidArgument("bad")

    async def write(self, items: Sequence[str]) -> None:
        self.groups.append(list(items))
        await asyncio.sleep(0)
        if self.bad.intersection(items):
            raise self.error


async def put(grouping: Grouping[str], item: str, ready: asyncio.Event | None = None) -> None:
    with grouping.coming():
        await asyncio.sleep(0)  # all have begun
        if ready is not None:
            await ready.wait()
        await grouping.put(item)


async def test_one_alone_waits_for_nobody() -> None:
    log = Log()
    await put(Grouping(log.write, 8, LONG), "a")
    assert log.groups == [["a"]]


async def test_a_full_group_is_written_and_the_rest_when_all_wait() -> None:
    log = Log()
    grouping = Grouping(log.write, 2, LONG)
    await asyncio.gather(*(put(grouping, item) for item in "abcde"))
    assert log.groups == [["a", "b"], ["c", "d"], ["e"]]


async def test_who_gives_up_lets_the_others_go_on() -> None:
    log = Log()
    grouping = Grouping(log.write, 8, LONG)
    waiting = asyncio.create_task(put(grouping, "a"))
    with grouping.coming():
        await asyncio.sleep(0.01)
        assert log.groups == []
    await waiting
    assert log.groups == [["a"]]


async def test_nobody_waits_longer_than_a_while_for_a_slow_one() -> None:
    log, ready = Log(), asyncio.Event()
    grouping = Grouping(log.write, 8, SHORT)
    slow = asyncio.create_task(put(grouping, "slow", ready))
    await put(grouping, "a")
    assert log.groups == [["a"]]
    ready.set()
    await slow
    assert log.groups == [["a"], ["slow"]]


async def test_what_is_wrong_with_one_is_not_said_of_the_others() -> None:
    log = Log()
    log.bad = {"b"}
    grouping = Grouping(log.write, 8, LONG)
    results = await asyncio.gather(*(put(grouping, item) for item in "abc"), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), InvalidArgument, type(None)]
    assert log.groups == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_a_part_that_is_down_is_told_to_all_at_once() -> None:
    log = Log(Unavailable("down"))
    log.bad = {"a"}
    grouping = Grouping(log.write, 8, LONG)
    results = await asyncio.gather(*(put(grouping, item) for item in "ab"), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert log.groups == [["a", "b"]]


async def test_a_cancelled_task_takes_its_item_back() -> None:
    log = Log()
    grouping = Grouping(log.write, 8, SHORT)
    with grouping.coming():
        gone = asyncio.create_task(put(grouping, "gone"))
        stays = asyncio.create_task(put(grouping, "stays"))
        await asyncio.sleep(0.001)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await stays
    assert log.groups == [["stays"]]
