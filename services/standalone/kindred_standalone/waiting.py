"""Accepted images until the workers are done with them: how many may wait, when to ask, when to give up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import StorageFull, Unavailable
from kindred_standalone.connect import LOCAL, Session

_MAX_PENDING = 512
_POLL_S, _LAST_POLL_S = 0.5, 0.05
_POLL_S_PER_IMAGE = 0.002
"""The fewer wait, the less it costs to ask for their states, and the sooner a run ends after its last image."""
_STALL_S = 300.0
"""Without one image finished in this time something is wrong, and waiting on would hide it."""
_FULL_DISK_S, _LEAST_FREE_BYTES = 5.0, 1_000_000
"""Workers try again for ever; on a disk without room for one thumbnail and one row no image will be finished."""
_IN_WORK = {pb.STATE_STORED, pb.STATE_DERIVED}

P = TypeVar("P")


class Waiting(Generic[P]):
    """Images by id, each with what its owner calls it; `finished` is told once of each, with a failure or None."""

    def __init__(
        self,
        session: Session,
        finished: Callable[[P, pb.Failure | None], None],
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        """`free_bytes`: room on the disk of the gallery, asked when nothing is finished any more."""
        self._session = session
        self._finished = finished
        self._free_bytes = free_bytes
        self._pending: dict[str, P] = {}
        self._room = asyncio.Semaphore(_MAX_PENDING)
        self._closed = False

    async def take_room(self) -> None:
        """Wait until one more may be accepted; `add` or `give_back` must follow."""
        await self._room.acquire()

    def give_back(self) -> None:
        self._room.release()

    def add(self, image_id: str, place: P) -> None:
        self._pending[image_id] = place

    def close(self) -> None:
        """No more will be added."""
        self._closed = True

    async def run(self) -> None:
        """Until closed and empty. Raises StorageFull, or Unavailable if the workers stand still."""
        last_progress = time.monotonic()
        while self._pending or not self._closed:
            if not self._pending or await self._settle():
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > _FULL_DISK_S and self._is_full():
                raise StorageFull(f"the disk is full, and {len(self._pending)} accepted images wait for room")
            elif time.monotonic() - last_progress > _STALL_S:
                raise Unavailable(
                    f"{len(self._pending)} accepted images wait, and none was finished for {_STALL_S / 60:.0f} minutes"
                )
            await asyncio.sleep(min(_POLL_S, max(_LAST_POLL_S, _POLL_S_PER_IMAGE * len(self._pending))))

    def _is_full(self) -> bool:
        return self._free_bytes is not None and self._free_bytes() < _LEAST_FREE_BYTES

    async def _settle(self) -> bool:
        """Tell of what has come to an end; whether there was any."""
        request = pb.GetStatesRequest(principal=LOCAL, image_ids=list(self._pending))
        answer = await self._session.call(lambda node: node.search.GetStates(request))
        states = {state.image_id: state for state in answer.states}
        settled = False
        for image_id in request.image_ids:
            state = states.get(image_id)
            if state is not None and state.state in _IN_WORK:
                continue
            place = self._pending.pop(image_id)
            self._room.release()
            settled = True
            if state is None or state.state == pb.STATE_DELETED:
                detail = "the image was removed again while it was indexed"
                self._finished(place, pb.Failure(code="removed", detail=detail))
            else:
                self._finished(place, state.failure if state.state == pb.STATE_FAILED else None)
        return settled
