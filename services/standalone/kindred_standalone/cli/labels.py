"""`kindred labels`: measure, calibrate, ask for a class, see what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindred_standalone.cli import evaluating
from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory

app = typer.Typer(help="Label sets: what they lack and how good they are.", no_args_is_help=True)
app.command("evaluate")(evaluating.evaluate)
app.command("calibrate")(evaluating.calibrate)


@app.command()
def request(
    context: typer.Context,
    class_name: Annotated[str, typer.Argument(metavar="CLASS", help="What no label set finds yet.")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Ask for a class that no label set has; requests are counted."""
    from kindred_standalone.cli.running import run

    run(_request(directory(context, data_dir), class_name, as_json=as_json))


@app.command()
def requests(context: typer.Context, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """List the classes that were asked for, most wanted first."""
    from kindred_standalone.cli.running import run

    run(_requests(directory(context, data_dir), as_json=as_json))


async def _request(where: DataDirectory, class_name: str, *, as_json: bool) -> None:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import LOCAL, connect
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import count_text, printable

    where.require()
    async with connect(where, StandaloneSettings(), command="labels") as node:
        answer = await node.search.AddLabelRequest(pb.AddLabelRequestRequest(principal=LOCAL, class_name=class_name))
    if as_json:
        _print_json(
            {
                "class": answer.class_name,
                "label_sets": list(answer.label_sets),
                "requests": answer.requests,
                "closest": list(answer.closest),
            }
        )
        return
    name = printable(answer.class_name)
    if answer.label_sets:
        out.print(f"{name} is in {', '.join(answer.label_sets)} already.", markup=False)
    else:
        out.print(f"Noted: {name}, {count_text(answer.requests, 'request')} so far.", markup=False)
        if answer.closest:
            out.print(f"Closest now: {printable(', '.join(answer.closest))}", markup=False)


async def _requests(where: DataDirectory, *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from rich.table import Table

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable

    where.require()
    async with connect(where, StandaloneSettings(), command="labels") as node:
        answer = await node.search.ListLabelRequests(pb.ListLabelRequestsRequest())
    rows: list[dict[str, Any]] = [
        {
            "class": entry.class_name,
            "requests": entry.requests,
            "accounts": entry.owners,
            "last": datetime.fromtimestamp(entry.last_requested_at_ms / 1000, UTC).isoformat(timespec="seconds"),
            "label_sets": list(entry.label_sets),
        }
        for entry in answer.entries
    ]
    if as_json:
        _print_json({"requests": rows})
    elif not rows:
        out.print("Nobody has asked for a class yet.")
    else:
        table = Table("class", "requests", "accounts", "last", "found by now in")
        for row in rows:
            sets = ", ".join(row["label_sets"])
            table.add_row(*(printable(str(cell)) for cell in (*list(row.values())[:4], sets)))
        out.print(table)


def _print_json(document: object) -> None:
    import orjson

    typer.echo(orjson.dumps(document).decode())
