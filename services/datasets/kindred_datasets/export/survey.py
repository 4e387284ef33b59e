"""What has to be known of all items before the first is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from kindred_datasets.domain import Item
from kindred_datasets.export.formats.layouts import License

Items = Callable[[], AsyncIterator[Sequence[Item]]]
"""Begins to read the items, in batches and always in the same order."""


@dataclass(frozen=True)
class Survey:
    """`classes` in the order of their ids."""

    images: int
    classes: tuple[str, ...]
    licenses: tuple[License, ...]


async def survey(items: Items, first_classes: Sequence[str]) -> Survey:
    images = 0
    classes: set[str] = set()
    licenses: set[License] = set()
    async for batch in items():
        images += len(batch)
        classes.update(label.class_name for item in batch for label in item.labels)
        licenses.update((item.rights.license, item.rights.license_url) for item in batch)
    first = tuple(dict.fromkeys(first_classes))
    return Survey(images, (*first, *sorted(classes.difference(first))), tuple(sorted(licenses)))
