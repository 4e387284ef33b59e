"""`kindred ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kindred_kit.licenses import LICENSES
from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

INTERRUPTED_TEXT = "Stopped. What is accepted stays; run the same command again to go on from here."


def ingest(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="A folder, a .txt list of URLs, a .csv, .tsv or .parquet table, a WebDataset .tar, s3://bucket/prefix.",
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=COLUMN", help="Which column of a table is the url, the caption, …; repeatable."),
    ] = None,
    license_name: Annotated[
        str, typer.Option("--license", metavar="ID", help=f"Where an item names none: {', '.join(LICENSES)}.")
    ] = "",
    source: Annotated[str, typer.Option(help="A name of your own for where they come from.")] = "",
    origin: Annotated[
        str, typer.Option(help="photo or generated. Default: generated where a file says what generated it.")
    ] = "",
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder that a table's paths are relative to and may not leave. Default: the table's.",
        ),
    ] = None,
    per_host: Annotated[int, typer.Option(min=1, max=64, help="Downloads from one host at once.")] = 4,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Also fetch from private addresses: only for lists of your own.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what an earlier run has ingested.")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Take images into the gallery from lists, tables, tars and object stores; a folder is indexed where it is.

    A run that was stopped goes on where it was; downloads that may yet succeed are tried again, politely.
    Exit code 0 also when single images failed (the report says which and why), 1 when none could be taken in.
    """
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.index import show_summary
    from kindred_standalone.cli.ingesting import Wanted, ingest_sources
    from kindred_standalone.cli.running import run
    from kindred_standalone.errors import UsageError
    from kindred_standalone.prepare import Labels
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.sources.fields import parse_mapping

    if license_name and license_name not in LICENSES:
        raise UsageError(f"no licence {license_name!r}; there are {', '.join(LICENSES)}")
    if origin not in {"", "photo", "generated"}:
        raise UsageError("--origin is photo or generated")
    labels = Labels(license_name, source, origin)
    wanted = Wanted(labels, parse_mapping(column or ()), root, per_host, allow_private, again)
    where = directory(context, data_dir)
    work = ingest_sources(where, StandaloneSettings(), sources, wanted, quiet=as_json)
    summary = run(work, interrupted=INTERRUPTED_TEXT)
    show_summary(summary, as_json=as_json)
    if not summary.searchable:
        raise typer.Exit(FAILED)
