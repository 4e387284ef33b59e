"""attribution.csv: whose pictures these are."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from kindred_datasets.domain import Item

COLUMNS = (
    "image", "split", "license", "license_url", "creator", "credit",
    "source_url", "attribution", "image_id", "file_name",
)  # fmt: skip
# A spreadsheet runs a cell that begins so (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def header() -> bytes:
    return _line(COLUMNS)


def row(item: Item, path: str) -> bytes:
    """RFC 4180, UTF-8; what would be a formula begins with an apostrophe. `path`: the image in the export."""
    rights = item.rights
    values = (
        path, item.split, rights.license or "unknown", rights.license_url, rights.creator, rights.credit,
        rights.source_url, rights.attribution, item.image_id, item.file_name,
    )  # fmt: skip
    return _line([f"'{value}" if value.startswith(_FORMULA) else value for value in values])


def _line(values: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8", "backslashreplace")
