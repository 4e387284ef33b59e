"""Which collection is searched now, and which is being built."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from kindred_kit.telemetry import FALLBACKS
from kindred_search.domain import Collection

T = TypeVar("T")


@dataclass
class Indexes:
    """The catalogue's `collections` as this process knows them; changed by projector and reindex alone."""

    active: Collection | None = None
    building: Collection | None = None

    @property
    def written(self) -> list[Collection]:
        """Those that every change goes to."""
        return [collection for collection in (self.active, self.building) if collection is not None]

    @property
    def version(self) -> str:
        """Changes only at a reindex; empty before the first image is embedded."""
        return self.active.name if self.active else ""

    async def read(self, work: Callable[[Collection | None], Awaitable[T]]) -> T:
        """`work` on the active collection, and again on its successor where a reindex has replaced it meanwhile."""
        while True:
            active = self.active
            try:
                return await work(active)
            except Exception:
                if self.active is active:
                    raise
                FALLBACKS.labels("search", "index_replaced").inc()
