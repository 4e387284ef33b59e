"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory

_DATA_DIR_HELP = "Where the gallery is kept. Default: the platform's directory for user data."

GlobalDataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", envvar="KINDRED_DATA_DIR", help=_DATA_DIR_HELP, show_default=False),
]
# without the variable: it must not win over a --data-dir before the command
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help=_DATA_DIR_HELP, show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def remember(context: typer.Context, data_dir: Path | None) -> None:
    """Keep what was given before the command (`kindred --data-dir X index`)."""
    context.obj = data_dir


def directory(context: typer.Context, data_dir: Path | None) -> DataDirectory:
    """The data directory, said before or after the command."""
    from kindred_standalone.datadir import DataDirectory

    return DataDirectory.at(data_dir or context.obj)
