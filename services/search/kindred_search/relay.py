"""Outbox -> bus, in order. A crash between publishing and forgetting repeats events; none is lost.

Of several replicas one publishes at a time: two would publish the same rows, and an image's events out of order.
"""

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
_WORK = "relay"


class Relay:
    """Publishes what is in the outbox: at once after `notify`, and every `poll` for what another process left."""

    def __init__(self, catalogue: Catalogue, bus: Bus, poll: timedelta) -> None:
        self._catalogue = catalogue
        self._bus = bus
        self._poll_s = poll.total_seconds()
        self._wake = asyncio.Event()
        self._draining = asyncio.Lock()
        self._looked_for_loss = False
        self._log = get_logger("search")

    def notify(self) -> None:
        """There is something in the outbox."""
        self._wake.set()

    async def drain(self) -> int:
        """Publish all that is there and return how many events that was; 0 where another replica does it."""
        total = 0
        async with self._draining, self._catalogue.alone(_WORK) as alone:
            if not alone:
                return 0
            if not self._looked_for_loss:
                await self._replace_lost()
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

    async def _replace_lost(self) -> None:
        """A log that nothing was ever written to is not the one that waiting images were published on: it was lost.

        One with a single event in it is left alone, however long its backlog: what waits is on it.
        """
        if not await self._bus.published(TOPIC):
            count = await self._catalogue.write(backlog.publish_stored, current_request_id(), now_ms())
            if count:
                FALLBACKS.labels("search", "events_lost").inc()
                self._log.warning("the event log is new; images that wait are published again", images=count)
        self._looked_for_loss = True
