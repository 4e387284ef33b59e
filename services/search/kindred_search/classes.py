"""Class names of label sets, as a user types them, become class ids."""

from collections.abc import Mapping, Sequence

from kindred_kit.errors import UnknownLabel
from kindred_kit.models.classes import class_key, closest_classes
from kindred_search.catalogue import reading
from kindred_search.catalogue.catalogue import Catalogue

DEFAULT_LABEL_SET = "coco-80"


class Classes:
    """`label_sets`: name -> classes in the order of their ids; of other sets the catalogue knows what was detected."""

    def __init__(self, catalogue: Catalogue, label_sets: Mapping[str, Sequence[str]]) -> None:
        self._catalogue = catalogue
        self._known = {
            label_set: {name: class_id for class_id, name in enumerate(classes)}
            for label_set, classes in label_sets.items()
        }

    async def resolve(self, label_set: str, class_name: str) -> tuple[str, int]:
        """Label set and class id; with no set named, coco-80 comes first, then any that has the class.

        Raises UnknownLabel, naming the closest classes of all sets.
        """
        wanted = class_key(class_name)
        found = _find(self._known, label_set, wanted) or _find(await self.sets(), label_set, wanted)
        if found is not None:
            return found
        hint = await self.closest(class_name)
        where = f"label set {label_set} has" if label_set else "no label set has"
        a_class = "no class" if label_set else "a class"
        said = f"; did you mean {', '.join(hint)}?" if hint else ""
        raise UnknownLabel(f"{where} {a_class} {class_name[:80]!r}{said}")

    async def having(self, class_name: str) -> list[str]:
        """Label sets that have the class."""
        wanted = class_key(class_name)
        return [
            label_set
            for label_set, classes in (await self.sets()).items()
            if any(class_key(known) == wanted for known in classes)
        ]

    async def closest(self, class_name: str) -> list[str]:
        """Classes of all sets that are spelled most like this, with their set where it is not coco-80."""
        sets = await self.sets()
        home: dict[str, str] = {}
        for label_set in _in_order(sets):
            for name in sets[label_set]:
                home.setdefault(name, label_set)
        return [
            name if home[name] == DEFAULT_LABEL_SET else f"{name} ({home[name]})"
            for name in closest_classes(class_name, home)
        ]

    async def sets(self) -> dict[str, dict[str, int]]:
        """Label set -> class name -> class id. Reads an index of all detections: not for every filter."""
        detected = await self._catalogue.read(reading.classes)
        return {**detected, **self._known}


def _find(sets: Mapping[str, Mapping[str, int]], label_set: str, wanted: str) -> tuple[str, int] | None:
    for name in [label_set] if label_set else _in_order(sets):
        for known, class_id in sets.get(name, {}).items():
            if class_key(known) == wanted:
                return name, class_id
    return None


def _in_order(sets: Mapping[str, Mapping[str, int]]) -> list[str]:
    return sorted(sets, key=lambda name: (name != DEFAULT_LABEL_SET, name))
