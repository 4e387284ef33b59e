"""Many ranked lists become one in which no list starves. Pure."""

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def round_robin(lists: Sequence[Sequence[T]]) -> Iterator[tuple[int, T]]:
    """(number of the list, item), each list giving one item a round while it has any.

    An item counts for the first list that gives it; another list that holds it too gives its next one in that round.
    So after n items of k lists every list has given n/k, rounded up or down, unless it has ended.
    """
    taken: set[T] = set()
    waiting = [(number, iter(items)) for number, items in enumerate(lists)]
    while waiting:
        going_on = []
        for number, rest in waiting:
            item = next((item for item in rest if item not in taken), None)
            if item is None:
                continue
            taken.add(item)
            yield number, item
            going_on.append((number, rest))
        waiting = going_on
