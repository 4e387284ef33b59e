"""CSV, TSV and Parquet: a row an image, with a URL or a path and what is said of it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kindred_standalone.errors import UsageError
from kindred_standalone.sources.fields import columns_of, said, text_of
from kindred_standalone.sources.item import Item, SourceInvalid, failing, identity_of, name_of
from kindred_standalone.sources.loading import Loaders
from kindred_standalone.text import printable

_MAX_CELL_CHARS = 1_000_000
_BATCH_ROWS = 1_000


class CsvTable:
    """The first line names the columns. `mapping`: field -> column, where names do not tell."""

    def __init__(self, path: Path, loaders: Loaders, mapping: Mapping[str, str]) -> None:
        self._path = path
        self._loaders = loaders
        self._mapping = mapping

    def items(self) -> Iterator[Item]:
        csv.field_size_limit(_MAX_CELL_CHARS)
        with self._path.open("r", encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t" if self._path.suffix.lower() == ".tsv" else ",")
            try:
                header = [name for name in rows.fieldnames or () if name]
                yield from _items(rows, header, self._path, self._loaders, self._mapping)
            except csv.Error as error:
                raise SourceInvalid(f"{printable(self._path.name)}, line {rows.line_num}: {error}") from error


class ParquetTable:
    """Only the columns that mean something are read, a thousand rows at a time."""

    def __init__(self, path: Path, loaders: Loaders, mapping: Mapping[str, str]) -> None:
        self._path = path
        self._loaders = loaders
        self._mapping = mapping

    def items(self) -> Iterator[Item]:
        import pyarrow as pa  # most of a second, which no other source needs
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self._path) as file:
                header = list(file.schema_arrow.names)
                wanted = sorted(set(columns_of(header, self._mapping).values()))
                batches = file.iter_batches(_BATCH_ROWS, columns=wanted)
                rows = (row for batch in batches for row in batch.to_pylist())
                yield from _items(rows, header, self._path, self._loaders, self._mapping)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200]
            raise SourceInvalid(f"{printable(self._path.name)} can't be read as Parquet: {reason}") from error


def _items(
    rows: Iterable[Mapping[str, Any]], header: list[str], path: Path, loaders: Loaders, mapping: Mapping[str, str]
) -> Iterator[Item]:
    columns = columns_of(header, mapping)
    if not columns.keys() & {"url", "path"}:
        raise UsageError(
            f"{printable(path.name)} has no column url or path; say which is, such as --column url={header[0]}"
            if header
            else f"{printable(path.name)} has no columns"
        )
    for number, row in enumerate(rows, 1):
        yield _item(row, columns, f"{printable(path.name)}, row {number}", path.parent, loaders)


def _item(row: Mapping[str, Any], columns: Mapping[str, str], place: str, folder: Path, loaders: Loaders) -> Item:
    fields = said(row, columns)
    url = text_of(row.get(columns["url"])).strip() if "url" in columns else ""
    if url:
        return Item(
            f"{place}: {printable(url)}", identity_of("url", url, fields=fields), fields, name_of(url), loaders.url(url)
        )
    path = text_of(row.get(columns["path"])).strip() if "path" in columns else ""
    if path:
        version, load = loaders.path(path, folder)
        return Item(
            f"{place}: {printable(path)}", identity_of("path", version, fields=fields), fields, name_of(path), load
        )
    return Item(
        place, identity_of("none", place, fields=fields), fields, "", failing(SourceInvalid("it names no image"))
    )
