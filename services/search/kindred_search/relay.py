"""Outbox -> bus, in order. A crash between publishing and forgetting repeats events; none is lost."""

import asyncio
from datetime import timedelta

from kindred_kit.ports.bus import Bus, OutgoingMessage
from kindred_kit.telemetry import FALLBACKS, get_logger
from kindred_search.catalogue import outbox
from kindred_search.catalogue.catalogue import Catalogue

TOPIC = "images.v1"
_BATCH = 500


class Relay:
    """Publishes what is in the outbox: at once after `notify`, and every `poll` for what another process left."""

    def __init__(self, catalogue: Catalogue, bus: Bus, poll: timedelta) -> None:
        self._catalogue = catalogue
        self._bus = bus
        self._poll_s = poll.total_seconds()
        self._wake = asyncio.Event()
        self._draining = asyncio.Lock()
        self._log = get_logger("search")

    def notify(self) -> None:
        """There is something in the outbox."""
        self._wake.set()

    async def drain(self) -> int:
        """Publish all that is there and return how many events that was."""
        total = 0
        async with self._draining:
            while rows := await self._catalogue.read(outbox.oldest, _BATCH):
                messages = [
                    OutgoingMessage(row.image_id, row.payload, {"x-request-id": row.request_id}) for row in rows
                ]
                await self._bus.publish(TOPIC, messages)
                await self._catalogue.write(outbox.remove, rows)
                total += len(rows)
        return total

    async def run(self) -> None:
        """Until cancelled. A bus that is down is tried again; the outbox keeps what it could not take."""
        while True:
            self._wake.clear()
            try:
                await self.drain()
            except Exception as error:
                FALLBACKS.labels("search", "relay_retry").inc()
                self._log.warning("events wait in the outbox", error=repr(error))
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
            except TimeoutError:
                continue
