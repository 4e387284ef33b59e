"""`kindred show` and `kindred rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory

_NAME_HELP = "An id, its first four or more characters, or a file."


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID", help=_NAME_HELP)],
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly what the HTTP API answers.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show what is known of one image: file, size, rights, labels."""
    from kindred_standalone.cli.running import run

    run(_show(directory(context, data_dir), name, as_json=as_json))


def rm(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ID…", help=_NAME_HELP)],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Remove images from the gallery. The files themselves are never touched."""
    from kindred_standalone.cli.running import run

    run(_rm(directory(context, data_dir), names, as_json=as_json))


async def _show(where: DataDirectory, name: str, *, as_json: bool) -> None:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone import tables
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import LOCAL, connect
    from kindred_standalone.hits import shown_hit
    from kindred_standalone.lookup import find_image
    from kindred_standalone.queries import checked
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    async with connect(where, StandaloneSettings(), command="show") as node:
        image_id = await find_image(node, name)
        answer = checked(await node.http.get(f"/v1/images/{image_id}"))
        if as_json:
            typer.echo(answer.raw)
            return
        records = await node.search.GetImages(pb.GetImagesRequest(principal=LOCAL, image_ids=[image_id]))
        place = shown_hit(records.images[0], 1, 0.0).place if records.images else ""
        out.print(tables.record_table(answer.body, place))


async def _rm(where: DataDirectory, names: list[str], *, as_json: bool) -> None:
    import orjson

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import LOCAL, connect
    from kindred_standalone.lookup import find_image
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import count_text

    where.require()
    async with connect(where, StandaloneSettings(), command="rm") as node:
        # all names first: a typing error in the last must not leave half of the work done
        ids = list(dict.fromkeys([await find_image(node, name) for name in names]))
        answer = await node.search.DeleteImages(pb.DeleteImagesRequest(principal=LOCAL, image_ids=ids))
    deleted = list(answer.deleted_ids)
    if as_json:
        typer.echo(orjson.dumps({"deleted": deleted}).decode())
    else:
        out.print(f"{count_text(len(deleted), 'image')} removed from the gallery; the files stay where they are.")
