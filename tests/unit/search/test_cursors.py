import pytest

from kindred_kit.errors import CursorInvalid, CursorStale, CursorTooDeep
from kindred_search.cursors import DEPTH, Ranked, RankedList, RankedLists, at_offset

HITS = Ranked(("a", "b"), (0.9, 0.8))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock | None = None, capacity: int = 10) -> RankedLists[str]:
    return RankedLists(keep_s=900, capacity=capacity, clock=clock or Clock())


def test_a_cursor_finds_its_list_and_position() -> None:
    lists = make()
    cursor = lists.add(RankedList("query", "ann", "digest", "v1", HITS), 7)
    kept, offset = lists.find(cursor, "ann", "digest", "v1")
    assert (kept.query, kept.ranked, offset) == ("query", HITS, 7)
    assert lists.find(at_offset(cursor, 9), "ann", "digest", "v1")[1] == 9


def test_a_cursor_is_bound_to_account_query_and_index() -> None:
    lists = make()
    cursor = lists.add(RankedList("query", "ann", "digest", "v1", HITS), 1)
    with pytest.raises(CursorInvalid, match="account"):
        lists.find(cursor, "bob", "digest", "v1")
    with pytest.raises(CursorInvalid, match="query"):
        lists.find(cursor, "ann", "other", "v1")
    with pytest.raises(CursorStale, match="rebuilt"):
        lists.find(cursor, "ann", "digest", "v2")
    assert lists.find(cursor, "ann", "", "v1")[1] == 1  # the query was left out


def test_a_list_is_kept_a_quarter_of_an_hour() -> None:
    clock = Clock()
    lists = make(clock)
    cursor = lists.add(RankedList("query", "ann", "digest", "v1", HITS), 1)
    clock.now = 899
    assert lists.find(cursor, "ann", "digest", "v1")
    clock.now = 900
    with pytest.raises(CursorStale):
        lists.find(cursor, "ann", "digest", "v1")


def test_the_least_recently_used_list_goes_first() -> None:
    lists = make(capacity=2)
    first, second = (lists.add(RankedList(name, "ann", "d", "v1", HITS), 1) for name in ("one", "two"))
    lists.find(first, "ann", "d", "v1")
    lists.add(RankedList("three", "ann", "d", "v1", HITS), 1)
    assert lists.find(first, "ann", "d", "v1")[0].query == "one"
    with pytest.raises(CursorStale):
        lists.find(second, "ann", "d", "v1")


def test_past_the_depth_has_an_error_of_its_own() -> None:
    lists = make()
    cursor = lists.add(RankedList("query", "ann", "d", "v1", HITS), DEPTH)
    with pytest.raises(CursorTooDeep):
        lists.find(cursor, "ann", "d", "v1")


@pytest.mark.parametrize("cursor", ["", "A", "AAAA", "é", "A" * 25, "A" * 26, "A" * 27, "/" * 26, "a b"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises((CursorInvalid, CursorStale)):
        make().find(cursor, "ann", "d", "v1")


def test_a_cursor_tells_nothing_and_cannot_be_guessed() -> None:
    lists = make()
    cursors = {lists.add(RankedList("query", "ann", "digest", "v1", HITS), 1) for _ in range(5)}
    assert len(cursors) == 5
    assert all("ann" not in cursor and "digest" not in cursor for cursor in cursors)
