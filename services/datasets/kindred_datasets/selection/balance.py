"""Choose images so that each class gets its share. Pure."""

from collections import Counter, deque
from collections.abc import Collection, Sequence


def balanced(classes: Sequence[Collection[str]], size: int) -> list[int]:
    """Choose `size` of the images whose classes these are, best first: their indices in the order of choice.

    Greedy: the class that the fewest chosen images show (the first by name among equals) gets its best image next.
    Images without a class of their own come when no class has any left.
    """
    queues: dict[str, deque[int]] = {}
    for index, names in enumerate(classes):
        for name in names:
            queues.setdefault(name, deque()).append(index)
    chosen: list[int] = []
    taken: set[int] = set()
    shown: Counter[str] = Counter()

    def take(index: int) -> None:
        taken.add(index)
        chosen.append(index)
        shown.update(classes[index])

    while queues and len(chosen) < size:
        poorest = min(queues, key=lambda name: (shown[name], name))
        queue = queues[poorest]
        while queue and queue[0] in taken:
            queue.popleft()
        if queue:
            take(queue.popleft())
        else:
            del queues[poorest]
    for index in range(len(classes)):
        if len(chosen) >= size:
            break
        if index not in taken:
            take(index)
    return chosen
