"""Event bus port: at-least-once, in order per key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

DEAD_LETTERS = ".dlq"
"""A topic whose name ends so keeps the last message of each key until it is forgotten."""


@dataclass(frozen=True)
class OutgoingMessage:
    """`key` decides the order: messages of one key are read in the order in which they were published."""

    key: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A message as read; `position` is opaque and grows within a partition."""

    topic: str
    key: str
    payload: bytes
    headers: Mapping[str, str]
    partition: int
    position: int


class Consumer(Protocol):
    """One member of a consumer group."""

    async def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        """Up to `max_messages` that this member has not read yet; empty after `timeout_s` without any.

        A member that starts reads on after the last committed message of its group.
        """
        ...

    async def commit(self, messages: Sequence[Message]) -> None:
        """Everything up to and including these has been dealt with; it will not be delivered to the group again."""
        ...

    async def lag(self) -> int:
        """Messages published and not committed by the group."""
        ...

    async def aclose(self) -> None: ...


class Bus(Protocol):
    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Append durably and in order per key.

        Raises Unavailable; some may have been appended then, and a caller that publishes all again repeats those.
        """
        ...

    async def published(self, topic: str) -> int:
        """How many messages were ever published on the topic, those that are gone by now too. Raises Unavailable."""
        ...

    async def kept(self, topic: str) -> Sequence[Message]:
        """What a dead-letter topic holds: the last message of each key, oldest first. Raises Unavailable."""
        ...

    async def forget(self, topic: str, keys: Sequence[str]) -> None:
        """Remove what a dead-letter topic holds of these keys. Raises Unavailable."""
        ...

    async def consumer(self, topic: str, group: str) -> Consumer:
        """Join a group, which may have several members, each with keys of its own. Raises Unavailable.

        A group that is new starts at the oldest message.
        """
        ...

    async def aclose(self) -> None: ...
