"""Requests for classes that no label set has: what was typed is cleaned, known classes are not counted."""

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.clock import now_ms
from kindred_kit.errors import InvalidArgument
from kindred_kit.imaging.rights import clean_text
from kindred_kit.models.classes import class_key
from kindred_search.catalogue import label_requests
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.classes import Classes

MAX_CLASS_CHARS = 100


class LabelRequests:
    def __init__(self, catalogue: Catalogue, classes: Classes) -> None:
        self._catalogue = catalogue
        self._classes = classes

    async def add(self, owner: str, said: str) -> pb.AddLabelRequestResponse:
        """Raises InvalidArgument for a name that is empty or too long, and for an account with too many classes."""
        name = clean_text(said)
        if not name or len(name) > MAX_CLASS_CHARS or not any(char.isalnum() for char in name):
            raise InvalidArgument(f"a class is named in 1 to {MAX_CLASS_CHARS} characters", pointer="/class")
        known_in = await self._classes.having(name)
        closest = [] if known_in else await self._classes.closest(name)
        requests: int | None = 0
        if not known_in:
            requests = await self._catalogue.write(label_requests.add, owner, class_key(name), now_ms())
        if requests is None:
            raise InvalidArgument(f"an account can ask for {label_requests.MAX_OF_OWNER:,} classes", pointer="/class")
        return pb.AddLabelRequestResponse(class_name=name, label_sets=known_in, requests=requests, closest=closest)

    async def listed(self) -> pb.ListLabelRequestsResponse:
        entries = await self._catalogue.read(label_requests.listed)
        sets = {name: {class_key(known) for known in classes} for name, classes in (await self._classes.sets()).items()}
        return pb.ListLabelRequestsResponse(
            entries=[
                pb.ListLabelRequestsResponse.Entry(
                    class_name=entry.class_name,
                    requests=entry.requests,
                    owners=entry.owners,
                    last_requested_at_ms=entry.last_at_ms,
                    label_sets=[name for name, keys in sets.items() if entry.class_name in keys],
                )
                for entry in entries
            ]
        )
