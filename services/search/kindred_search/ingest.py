"""What changes the catalogue, and whom it wakes."""

from collections.abc import Sequence

from kindred_kit.adapters.file_references import is_reference
from kindred_kit.clock import now_ms
from kindred_kit.context import current_request_id
from kindred_kit.errors import ImageTakenDown, Unavailable
from kindred_kit.ports.blobs import BlobStore
from kindred_search.catalogue import projecting, takedowns
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.domain import Accepted, Derived, NewImage
from kindred_search.projector import Projector
from kindred_search.relay import Relay


class Ingest:
    def __init__(self, catalogue: Catalogue, blobs: BlobStore, relay: Relay, projector: Projector) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._relay = relay
        self._projector = projector

    async def accept(self, owner: str, images: Sequence[NewImage]) -> list[Accepted]:
        """Durable when this returns. Raises ImageTakenDown, Unavailable if the bytes went with a former life."""
        async with self._projector.burial_lock:
            await self._check_reborn(images)
            try:
                results = await self._catalogue.accept(owner, images)
            except ImageTakenDown:
                await self._remove_blocked(images)
                raise
        self._relay.notify()
        self._projector.notify()
        return results

    async def _check_reborn(self, images: Sequence[NewImage]) -> None:
        """An image that comes back while its old bytes are being removed must not be accepted without any."""
        stored = {image.image_id: image.blob_key for image in images if not is_reference(image.blob_key)}
        swept = [image_id for image_id, key in stored.items() if key in self._projector.swept]
        for image_id in [*swept, *await self._catalogue.read(projecting.buried_among, list(stored))]:
            if await self._blobs.head(stored[image_id]) is None:
                raise Unavailable(f"the bytes of image {image_id} have just been removed; upload them again")

    async def _remove_blocked(self, images: Sequence[NewImage]) -> None:
        """Their bytes were put before anybody could know; what is taken down must not stay as an orphan."""
        stored = {image.image_id: image.blob_key for image in images if not is_reference(image.blob_key)}
        for image_id in await self._catalogue.read(takedowns.blocked_among, list(stored)):
            await self._blobs.delete(stored[image_id])

    async def take_down(self, image_ids: Sequence[str], reason: str) -> list[str]:
        """For good; returns those that were in the gallery. Their bytes go with the next projection."""
        removed = await self._catalogue.write(takedowns.take_down, image_ids, reason, current_request_id(), now_ms())
        self._relay.notify()
        self._projector.notify()
        return removed

    async def delete(self, owner: str, image_ids: Sequence[str]) -> list[str]:
        """Remove the owner's claims; returns the ids of which it had one."""
        deleted = await self._catalogue.remove_claims(owner, image_ids)
        self._relay.notify()
        self._projector.notify()
        return deleted

    async def put_derived(self, derived: Sequence[Derived]) -> list[bool]:
        """Returns for each whether the news was stale. All are written or, on an error, none."""
        stale = await self._catalogue.put_derived(derived)
        self._projector.notify()
        return stale
