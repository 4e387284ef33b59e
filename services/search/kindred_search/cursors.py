"""Ranked lists that later pages read, kept for a while in memory; a cursor names a list and a position in it.

The name is random and not guessable; the list remembers for whom, for which query and of which index it is.
"""

import asyncio
import base64
import binascii
import secrets
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kindred_kit.errors import CursorInvalid, CursorStale, CursorTooDeep
from kindred_search.domain import LabelCount

Q = TypeVar("Q")

DEPTH = 1_000
"""Hits that one query can be paged through."""

_LAYOUT = struct.Struct(">B16sH")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Ranked:
    """Image ids and scores, best first; where nothing was asked the newest first, without scores."""

    image_ids: tuple[str, ...]
    scores: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass
class Copies:
    """Near copies within a list, as far as its pages have been shown.

    `candidates`: image -> those after it that look alike, with their cosines, the most alike first. `behind`: shown
    image -> its copies; `hidden`: all of those.
    """

    candidates: dict[str, tuple[tuple[str, float], ...]]
    behind: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def undecided(self, image_id: str) -> bool:
        """Neither shown yet nor put behind another one."""
        return image_id not in self.hidden and image_id not in self.behind


@dataclass
class RankedList(Generic[Q]):
    """`ranked` starts as what page 1 has found; `complete` once it has been filled to the depth.

    `facets` and `copies` are None where they were not asked for. `changing` is held by who extends it.
    """

    query: Q
    owner: str
    query_digest: str
    index_version: str
    ranked: Ranked
    complete: bool = False
    facets: tuple[LabelCount, ...] | None = None
    copies: Copies | None = None
    expires_at_s: float = 0.0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class RankedLists(Generic[Q]):
    """At most `capacity` lists, each for `keep_s` seconds; the least recently used one goes first."""

    def __init__(self, keep_s: float, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._capacity = capacity
        self._clock = clock
        self._lists: OrderedDict[bytes, RankedList[Q]] = OrderedDict()

    def add(self, made: RankedList[Q], offset: int) -> str:
        """Keep a list and return the cursor of its position `offset`."""
        name = secrets.token_bytes(16)
        made.expires_at_s = self._clock() + self._keep_s
        self._lists[name] = made
        self._drop_old()
        return _encode(name, offset)

    def find(self, cursor: str, owner: str, query_digest: str, index_version: str) -> tuple[RankedList[Q], int]:
        """The list and position of a cursor; without a digest the caller has left the query out.

        Raises CursorInvalid, CursorStale, CursorTooDeep.
        """
        name, offset = _decode(cursor)
        kept = self._lists.get(name)
        if kept is None or kept.expires_at_s <= self._clock():
            raise CursorStale("the cursor has expired; search again from the first page")
        if kept.owner != owner:
            raise CursorInvalid("the cursor belongs to another account")
        if query_digest and kept.query_digest != query_digest:
            raise CursorInvalid("the cursor belongs to another query")
        if kept.index_version != index_version:
            raise CursorStale("the index has been rebuilt since; search again from the first page")
        if offset >= DEPTH:
            raise CursorTooDeep(f"a search can be paged through to {DEPTH} hits; narrow it with a filter")
        self._lists.move_to_end(name)
        return kept, offset

    def _drop_old(self) -> None:
        now = self._clock()
        while self._lists:
            name, oldest = next(iter(self._lists.items()))
            if len(self._lists) <= self._capacity and oldest.expires_at_s > now:
                return
            del self._lists[name]


def at_offset(cursor: str, offset: int) -> str:
    """The cursor of another position in the same list."""
    return _encode(_decode(cursor)[0], offset)


def _encode(name: bytes, offset: int) -> str:
    return base64.urlsafe_b64encode(_LAYOUT.pack(_FORMAT, name, offset)).decode().rstrip("=")


def _decode(cursor: str) -> tuple[bytes, int]:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, name, offset = _LAYOUT.unpack(packed)
    except (binascii.Error, struct.error, ValueError) as error:
        raise CursorInvalid("this is not a cursor of ours") from error
    if version != _FORMAT:
        raise CursorInvalid("this is not a cursor of ours")
    return name, offset
