"""`kindred takedown`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.datadir import DataDirectory

_PAGE = 1_000
_ID = re.compile(r"[0-9a-f]{64}")


def takedown(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID…", help="An id, its first four or more characters, or a file.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="Show what is taken down.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let these images come back (whole ids).")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Remove images from everybody's gallery and refuse their bytes from now on. Files on this disk are not touched."""
    from kindred_standalone.cli.running import run
    from kindred_standalone.errors import UsageError

    if list_all and (names or undo or reason):
        raise UsageError("--list goes alone")
    if not list_all and not names:
        raise UsageError("say which images, or --list")
    if names and not undo and not reason.strip():
        raise UsageError("a take-down needs --reason TEXT")
    where = directory(context, data_dir)
    if list_all:
        run(_list(where, as_json=as_json))
    elif undo:
        run(_undo(where, names or [], as_json=as_json))
    else:
        run(_take_down(where, names or [], reason, as_json=as_json))


async def _take_down(where: DataDirectory, names: list[str], reason: str, *, as_json: bool) -> None:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.connect import connect
    from kindred_standalone.lookup import find_image
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    async with connect(where, StandaloneSettings(), command="takedown") as node:
        # a whole id may be of bytes that nobody has brought yet, or that are somebody's in private
        ids = [name if _ID.fullmatch(name) else await find_image(node, name) for name in names]
        answer = await node.search.TakeDown(pb.TakeDownRequest(image_ids=ids, reason=reason))
    _tell({"taken_down": ids, "removed": list(answer.removed_ids)}, f"{len(ids):,} taken down", as_json=as_json)


async def _undo(where: DataDirectory, names: list[str], *, as_json: bool) -> None:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    async with connect(where, StandaloneSettings(), command="takedown") as node:
        answer = await node.search.UndoTakeDowns(pb.UndoTakeDownsRequest(image_ids=names))
    undone = list(answer.undone_ids)
    _tell({"undone": undone}, f"{len(undone):,} may come back; ingest them again", as_json=as_json)


async def _list(where: DataDirectory, *, as_json: bool) -> None:
    import orjson

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone import tables
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    entries: list[pb.ListTakeDownsResponse.Entry] = []
    async with connect(where, StandaloneSettings(), command="takedown") as node:
        after = ""
        while found := (await node.search.ListTakeDowns(pb.ListTakeDownsRequest(after_id=after, limit=_PAGE))).entries:
            entries += found
            after = found[-1].image_id
    if as_json:
        told = [
            {"id": entry.image_id, "reason": entry.reason, "taken_down_at_ms": entry.taken_down_at_ms}
            for entry in entries
        ]
        typer.echo(orjson.dumps({"takedowns": told}).decode())
    elif entries:
        out.print(tables.facts_table([(entry.image_id, entry.reason) for entry in entries]))
    else:
        out.print("Nothing is taken down.")


def _tell(told: dict[str, list[str]], line: str, *, as_json: bool) -> None:
    import orjson

    from kindred_standalone.cli.running import out

    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        out.print(line)
