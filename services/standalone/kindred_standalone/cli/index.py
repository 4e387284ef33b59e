"""`kindred index`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_kit.licenses import LICENSES
from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_standalone.summary import Summary

INTERRUPTED_TEXT = "Stopped. What is indexed stays; run the same command again to go on from here."


def index(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files and folders; folders are read with all below them.")
    ],
    license_name: Annotated[
        str, typer.Option("--license", metavar="ID", help=f"Licence of all these images: {', '.join(LICENSES)}.")
    ] = "",
    source: Annotated[str, typer.Option(help="A name of your own for where they come from.")] = "",
    origin: Annotated[
        str, typer.Option(help="photo or generated. Default: generated where a file says what generated it.")
    ] = "",
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Index images: read, embed and label each once. They stay where they are; a second run reads only what is new.

    Exit code 0 also when single files failed (the summary says which and why), 1 when nothing could be indexed.
    """
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.indexing import index_paths
    from kindred_standalone.cli.running import run
    from kindred_standalone.errors import UsageError
    from kindred_standalone.prepare import Labels
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable_path

    if license_name and license_name not in LICENSES:
        raise UsageError(f"no licence {license_name!r}; there are {', '.join(LICENSES)}")
    if origin not in {"", "photo", "generated"}:
        raise UsageError("--origin is photo or generated")
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"there is no {printable_path(path)}")
    labels = Labels(license_name, source, origin)
    where = directory(context, data_dir)
    summary = run(index_paths(where, StandaloneSettings(), paths, labels, quiet=as_json), interrupted=INTERRUPTED_TEXT)
    show_summary(summary, as_json=as_json)
    if not summary.searchable:
        raise typer.Exit(FAILED)


def show_summary(summary: Summary, *, as_json: bool = False) -> None:
    """Counts, and each failure with its reason."""
    import orjson

    from kindred_standalone import tables
    from kindred_standalone.cli.running import out

    if as_json:
        typer.echo(orjson.dumps(summary.as_json(), option=orjson.OPT_INDENT_2).decode())
        return
    if summary.failures:
        out.print(tables.failures_table(summary.failures, width=out.width))
    out.print(tables.summary_line(summary))
    if not summary.total:
        out.print("No images were found there.")
    elif summary.failures and summary.searchable:
        out.print("The run itself went well: everything else can be searched.")
