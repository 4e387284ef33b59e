"""What workers gave up: looked at, published once more, or dropped; on whatever bus there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kindred.events.v1 import events_pb2 as events
from kindred_kit.ports.bus import DEAD_LETTERS, Bus, Message, OutgoingMessage


@dataclass(frozen=True)
class DeadLetter:
    """An event that a group of workers gave up, and why. `failed_at_ms` is Unix time."""

    key: str
    image_id: str
    seq: int
    worker: str
    code: str
    detail: str
    attempts: int
    first_error: str
    last_error: str
    failed_at_ms: int
    payload: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class DeadLetters:
    """Of one topic."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic

    async def all(self) -> list[DeadLetter]:
        """Oldest first; of each image and worker the last one. Raises Unavailable."""
        return [_letter(message) for message in await self._bus.kept(self._topic + DEAD_LETTERS)]

    async def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Publish the events again, each once, and forget their letters; returns how many events that was.

        All workers read them; those that had succeeded do nothing new. A crash in between leaves the letters.
        """
        again = {letter.payload: OutgoingMessage(letter.image_id, letter.payload, letter.headers) for letter in letters}
        await self._bus.publish(self._topic, list(again.values()))
        await self.drop(letters)
        return len(again)

    async def drop(self, letters: Sequence[DeadLetter]) -> None:
        """Forget them. Raises Unavailable."""
        await self._bus.forget(self._topic + DEAD_LETTERS, [letter.key for letter in letters])


def _letter(message: Message) -> DeadLetter:
    said = events.DeadLetter.FromString(message.payload)
    return DeadLetter(
        key=message.key,
        image_id=said.event.image_id or message.key.partition("/")[0],
        seq=said.event.seq,
        worker=said.consumer_group,
        code=said.code,
        detail=said.detail,
        attempts=said.attempts,
        first_error=said.first_error,
        last_error=said.last_error,
        failed_at_ms=said.failed_at_ms,
        payload=said.payload or said.event.SerializeToString(),
        headers=message.headers,
    )
