"""Which collection is searched now, and which is being built."""

from dataclasses import dataclass

from kindred_search.domain import Collection


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
