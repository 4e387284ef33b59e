"""Outbox -> bus, in order. A crash between publishing and forgetting repeats events; none is lost."""

import asyncio
from datetime import timedelta

from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_kit.ports.bus import Bus, OutgoingMessage
from kindred_kit.telemetry import FALLBACKS, get_logger
from kindred_search.catalogue import backlog, outbox
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

    async def open(self) -> None:
        """A log that nothing was ever written to is not the one that waiting images were published on: it was lost."""
        if await self._bus.published(TOPIC):
            return
        count = await self._catalogue.write(backlog.publish_stored, current_request_id(), now_ms())
        if count:
            FALLBACKS.labels("search", "events_lost").inc()
            self._log.warning("the event log is new; images that wait are published again", images=count)

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
