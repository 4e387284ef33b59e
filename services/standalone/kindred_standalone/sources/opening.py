"""What the user names -> a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kindred_kit.imaging import ImageLimits
from kindred_standalone.errors import UsageError
from kindred_standalone.sources.bucket import SCHEMES, Bucket
from kindred_standalone.sources.item import Source
from kindred_standalone.sources.lists import UrlList
from kindred_standalone.sources.loading import Loaders
from kindred_standalone.sources.tables import CsvTable, ParquetTable
from kindred_standalone.sources.webdataset import WebDataset
from kindred_standalone.text import printable_path

KINDS = "a folder, a .txt list of URLs, a .csv, .tsv or .parquet table, a WebDataset .tar, or s3://bucket/prefix"


def open_source(name: str, loaders: Loaders, limits: ImageLimits, mapping: Mapping[str, str]) -> Source | Path:
    """A source, or the path of a folder, which is indexed where it is. Raises UsageError, SourceInvalid."""
    if name.startswith(SCHEMES):
        return Bucket(name, limits)
    if name.startswith(("http://", "https://")):
        raise UsageError("a single URL goes into a list: write it into a .txt file, one a line")
    path = Path(name)
    if path.is_dir():
        return path
    if not path.is_file():
        raise UsageError(f"there is no {printable_path(path)}; a source is {KINDS}")
    match path.suffix.lower():
        case ".txt":
            return UrlList(path, loaders)
        case ".csv" | ".tsv":
            return CsvTable(path, loaders, mapping)
        case ".parquet":
            return ParquetTable(path, loaders, mapping)
        case ".tar":
            return WebDataset(path, limits)
    raise UsageError(f"{printable_path(path)} is no source; a source is {KINDS}")
