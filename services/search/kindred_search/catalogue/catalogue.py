"""The catalogue for asynchronous callers: each call is one transaction on a small thread pool."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from kindred_kit.adapters.sql import Database
from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_search.catalogue import accepting, deleting, deriving, reading, takedowns
from kindred_search.catalogue.engine import MIGRATIONS
from kindred_search.domain import Accepted, Derived, Failure, ImageRecord, NewImage

_FEW = 128
"""The longest page and some to spare."""


class Catalogue(Database):
    """Functions of this package by `read(function, *arguments)` and `write(...)`; the common ones by name."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, MIGRATIONS)

    async def accept(self, owner: str, images: Sequence[NewImage]) -> list[Accepted]:
        """Raises ImageTakenDown."""
        return await self.write(_accept, owner, images, current_request_id(), now_ms())

    async def remove_claims(self, owner: str, image_ids: Sequence[str]) -> list[str]:
        return await self.write(deleting.remove_claims, owner, image_ids, current_request_id(), now_ms())

    async def put_derived(self, derived: Sequence[Derived]) -> list[bool]:
        return await self.write(deriving.put_all_derived, derived)

    async def put_failure(self, image_id: str, seq: int, failure: Failure) -> bool:
        return await self.write(deriving.put_failure, image_id, seq, failure)

    async def records(
        self, owner: str, image_ids: Sequence[str], *, with_labels: bool = True
    ) -> dict[str, ImageRecord]:
        read = self.read_few if len(image_ids) <= _FEW else self.read
        return await read(reading.records, owner, image_ids, with_labels=with_labels)


def _accept(
    connection: Connection, owner: str, images: Sequence[NewImage], request_id: str, now: int
) -> list[Accepted]:
    takedowns.refuse_blocked(connection, [image.image_id for image in images])
    return accepting.accept(connection, owner, images, request_id, now)
