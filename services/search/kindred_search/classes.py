"""Class names of label sets, as a user types them, become class ids."""

import difflib
from collections.abc import Mapping, Sequence

from kindred_kit.errors import UnknownLabel
from kindred_search.catalogue import reading
from kindred_search.catalogue.catalogue import Catalogue

_SUGGESTIONS = 3


class Classes:
    """`label_sets`: name -> classes in the order of their ids; of other sets the catalogue knows what was detected."""

    def __init__(self, catalogue: Catalogue, label_sets: Mapping[str, Sequence[str]]) -> None:
        self._catalogue = catalogue
        self._known = {name: {c.casefold(): n for n, c in enumerate(classes)} for name, classes in label_sets.items()}

    async def resolve(self, label_set: str, class_name: str) -> int:
        """The class id. Raises UnknownLabel, naming the closest classes."""
        classes = self._known.get(label_set)
        if classes is None:
            detected = await self._catalogue.read(reading.classes, label_set)
            classes = {name.casefold(): class_id for name, class_id in detected.items()}
        wanted = " ".join(class_name.casefold().replace("_", " ").split())
        if wanted in classes:
            return classes[wanted]
        close = difflib.get_close_matches(wanted, classes, n=_SUGGESTIONS, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise UnknownLabel(f"label set {label_set} has no class {class_name[:80]!r}{hint}")
