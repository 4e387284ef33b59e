"""`kindred dlq`: events that the workers gave up; see why, try them again, or drop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_kit.dead_letters import DeadLetter, DeadLetters

app = typer.Typer(
    help="Events that the workers gave up, of the gallery or, with KINDRED_BUS_URL, of a cluster.", no_args_is_help=True
)
_TOPIC = "images.v1"
_SHOWN = 50

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE_ID]...", help="Ids, or how they begin.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="CODE", help="Only those with this reason.")]
WorkerOption = Annotated[str | None, typer.Option("--worker", metavar="NAME", help="Only those of this worker.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]


@app.command("list")
def list_(
    context: typer.Context,
    reason: ReasonOption = None,
    worker: WorkerOption = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List what was given up, oldest first."""
    from kindred_standalone.cli.running import run

    run(_list(context, data_dir, reason, worker, as_json=as_json))


@app.command()
def show(
    context: typer.Context,
    image_id: Annotated[str, typer.Argument(metavar="IMAGE_ID", help="An id, or how it begins.")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show all that is known of an image's dead letters."""
    from kindred_standalone.cli.running import run

    run(_show(context, data_dir, image_id, as_json=as_json))


@app.command()
def replay(
    context: typer.Context,
    image_ids: IdsArgument = None,
    reason: ReasonOption = None,
    worker: WorkerOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Give events to the workers once more, after what made them fail was mended."""
    from kindred_standalone.cli.running import run

    _require_choice(image_ids, reason, worker, everything=everything)
    run(_replay(context, data_dir, image_ids or [], reason, worker, as_json=as_json))


@app.command()
def drop(
    context: typer.Context,
    image_ids: IdsArgument = None,
    reason: ReasonOption = None,
    worker: WorkerOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Forget events for good; the images stay failed."""
    from kindred_standalone.cli.running import run

    _require_choice(image_ids, reason, worker, everything=everything)
    run(_drop(context, data_dir, image_ids or [], reason, worker, as_json=as_json))


def _require_choice(ids: Sequence[str] | None, reason: str | None, worker: str | None, *, everything: bool) -> None:
    from kindred_standalone.errors import UsageError

    if everything == bool(ids or reason or worker):
        raise UsageError("say which: ids, --reason, --worker, or --all and nothing else")


@asynccontextmanager
async def _open(context: typer.Context, data_dir: Path | None) -> AsyncIterator[DeadLetters]:
    """Of the data directory that was named, else of the bus that was named, else of the default directory.

    A file's bus may be used beside the process that owns the directory.
    """
    import os

    from kindred_kit.dead_letters import DeadLetters
    from kindred_kit.process import BusSettings, bus_at

    settings = BusSettings()
    if data_dir or context.obj or "KINDRED_BUS_URL" not in os.environ:
        where = directory(context, data_dir)
        where.require()
        settings = BusSettings(bus_url=f"sqlite://{where.bus}")
    bus = bus_at(settings)
    try:
        yield DeadLetters(bus, _TOPIC)
    finally:
        await bus.aclose()


async def _list(
    context: typer.Context, data_dir: Path | None, reason: str | None, worker: str | None, *, as_json: bool
) -> None:
    from rich.table import Table

    from kindred_standalone.cli.running import out
    from kindred_standalone.text import count_text, printable

    async with _open(context, data_dir) as letters:
        found = _chosen(await letters.all(), [], reason, worker)
    if as_json:
        _print_json({"dead_letters": [_document(letter) for letter in found]})
        return
    if not found:
        out.print("No dead letters.")
        return
    table = Table("image", "worker", "reason", "attempts", "when", "detail")
    for letter in found[:_SHOWN]:
        cells = (letter.image_id[:12], letter.worker, letter.code, str(letter.attempts), _time(letter), letter.detail)
        table.add_row(*map(printable, cells))
    out.print(table)
    if len(found) > _SHOWN:
        out.print(f"… and {count_text(len(found) - _SHOWN, 'other')}; --json shows all.")


async def _show(context: typer.Context, data_dir: Path | None, image_id: str, *, as_json: bool) -> None:
    from kindred_standalone import tables
    from kindred_standalone.cli.running import out
    from kindred_standalone.text import printable

    async with _open(context, data_dir) as letters:
        found = _chosen(await letters.all(), [image_id], None, None)
    if as_json:
        _print_json({"dead_letters": [_document(letter) for letter in found]})
        return
    for letter in found:
        out.print(tables.facts_table([(name, printable(str(value))) for name, value in _document(letter).items()]))


async def _replay(
    context: typer.Context,
    data_dir: Path | None,
    ids: Sequence[str],
    reason: str | None,
    worker: str | None,
    *,
    as_json: bool,
) -> None:
    from kindred_standalone.cli.running import out
    from kindred_standalone.text import count_text

    async with _open(context, data_dir) as letters:
        count = await letters.replay(_chosen(await letters.all(), ids, reason, worker))
    if as_json:
        _print_json({"replayed": count})
    else:
        out.print(f"{count_text(count, 'event')} published again, for the workers that run now or next.")


async def _drop(
    context: typer.Context,
    data_dir: Path | None,
    ids: Sequence[str],
    reason: str | None,
    worker: str | None,
    *,
    as_json: bool,
) -> None:
    from kindred_standalone.cli.running import out
    from kindred_standalone.text import count_text

    async with _open(context, data_dir) as letters:
        found = _chosen(await letters.all(), ids, reason, worker)
        await letters.drop(found)
    if as_json:
        _print_json({"dropped": len(found)})
    else:
        out.print(f"{count_text(len(found), 'dead letter')} dropped.")


def _chosen(
    letters: Sequence[DeadLetter], ids: Sequence[str], reason: str | None, worker: str | None
) -> list[DeadLetter]:
    """Raises DeadLetterNotFound for an id that none has, UsageError for one that several images' begin with."""
    from kindred_kit.errors import DeadLetterNotFound
    from kindred_standalone.errors import UsageError

    wanted: set[str] = set()
    for start in ids:
        meant = {letter.image_id for letter in letters if letter.image_id.startswith(start)}
        if not meant:
            raise DeadLetterNotFound(f"no dead letter of an image {start!r}; `kindred dlq list` shows all")
        if len(meant) > 1:
            raise UsageError(f"{len(meant)} images' ids begin with {start!r}; say more of it")
        wanted |= meant
    return [
        letter
        for letter in letters
        if (not ids or letter.image_id in wanted) and reason in {None, letter.code} and worker in {None, letter.worker}
    ]


def _document(letter: DeadLetter) -> dict[str, object]:
    return {
        "image_id": letter.image_id,
        "seq": letter.seq,
        "worker": letter.worker,
        "reason": letter.code,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "first_error": letter.first_error,
        "last_error": letter.last_error,
        "failed_at": _time(letter),
    }


def _time(letter: DeadLetter) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(letter.failed_at_ms / 1000, UTC).isoformat(timespec="seconds")


def _print_json(document: object) -> None:
    import orjson

    typer.echo(orjson.dumps(document).decode())
