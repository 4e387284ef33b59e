"""Names of classes as people type them."""

import difflib
from collections.abc import Iterable

_SUGGESTIONS = 3


def class_key(name: str) -> str:
    """What two spellings of one class have in common: case, underscores and spaces do not count."""
    return " ".join(name.casefold().replace("_", " ").split())


def closest_classes(wanted: str, names: Iterable[str]) -> list[str]:
    """Up to three of `names` that are spelled most like `wanted`; none where nothing is near."""
    by_key = {class_key(name): name for name in names}
    close = difflib.get_close_matches(class_key(wanted[:200]), by_key, n=_SUGGESTIONS, cutoff=0.5)
    return [by_key[key] for key in close]
