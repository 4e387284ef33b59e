"""Columns of a table, or keys of a JSON sidecar, as what is said of an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kindred_kit.imaging.rights import MAX_TEXT_CHARS, clean_text
from kindred_kit.licenses import LICENSES
from kindred_standalone.errors import UsageError
from kindred_standalone.sources.item import FIELDS

PLACES = ("url", "path")
# What data sets in the wild call them (LAION, img2dataset, Openverse); compared without case.
_ALIASES = {
    "url": ("image_url", "img_url", "image_link"),
    "path": ("file", "file_path", "image_path"),
    "caption": ("text", "title", "description", "alt"),
    "source_url": ("foreign_landing_url", "page_url", "landing_url"),
    "creator": ("author", "photographer"),
}
_MAX_CHARS = {
    "caption": 10_000,
    "prompt": 10_000,
    "negative_prompt": 10_000,
    "model": 200,
    "sampler": 200,
    "source": 200,
}
_LICENSE_VERSION = re.compile(r"[ _-]*\d\.\d.*")


def parse_mapping(options: Sequence[str]) -> dict[str, str]:
    """`field=column` of the command line. Raises UsageError."""
    mapping: dict[str, str] = {}
    for option in options:
        name, separator, column = option.partition("=")
        if not separator or not column or name not in (*PLACES, *FIELDS):
            raise UsageError(f"--column is FIELD=COLUMN, with FIELD one of {', '.join((*PLACES, *FIELDS))}")
        mapping[name] = column
    return mapping


def columns_of(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> column: as the user says, else by name. Raises UsageError for a column that is not there."""
    for name, column in mapping.items():
        if column not in header:
            raise UsageError(f"there is no column {column!r} for {name}; there are {', '.join(header[:50])}")
    by_name = {column.casefold().strip(): column for column in reversed(header)}
    found = dict(mapping)
    for name in (*PLACES, *FIELDS):
        spelt = next((by_name[alias] for alias in (name, *_ALIASES.get(name, ())) if alias in by_name), None)
        if name not in found and spelt is not None:
            found[name] = spelt
    return found


def said(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    """The fields that the row fills, as POST /v1/images takes them; texts that are too long are cut."""
    found: dict[str, str] = {}
    for name in FIELDS:
        value = text_of(row.get(columns[name])) if name in columns else ""
        value = clean_text(value, _MAX_CHARS.get(name, MAX_TEXT_CHARS)) or ""
        if name == "license":
            value = license_name(value)
        if value:
            found[name] = value
    return found


def text_of(value: Any) -> str:
    """Of a cell: a text, or a number without a needless point; nothing for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)
    return str(value)


def license_name(text: str) -> str:
    """`CC BY-SA 4.0` -> by-sa; empty for what is none of ours, so that the licence's URL or nothing decides."""
    name = _LICENSE_VERSION.sub("", text.casefold().strip()[:50]).removeprefix("cc ").removeprefix("cc-")
    return name if name in LICENSES else ""
