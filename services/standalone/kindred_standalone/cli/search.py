"""`kindred search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory
    from kindred_standalone.queries import Query


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What the images show, in English words.", show_default=False)] = "",
    image: Annotated[Path | None, typer.Option(help="Find images like this one.", show_default=False)] = None,
    region: Annotated[
        str, typer.Option(metavar="x,y,w,h", help="Look at this part of --image only (fractions of its sides).")
    ] = "",
    label: Annotated[list[str] | None, typer.Option(help="Only images with this label; may be repeated.")] = None,
    no_label: Annotated[list[str] | None, typer.Option(help="Only images without this label; may be repeated.")] = None,
    min_precision: Annotated[
        float, typer.Option(min=0, max=1, help="Of --label: take only labels so precise (kindred labels calibrate).")
    ] = 0.0,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many hits.")] = 10,
    min_score: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Lowest score (cosine).", show_default=False)
    ] = None,
    facets: Annotated[bool, typer.Option("--facets", help="Count the labels among the best 1,000 hits.")] = False,
    collapse: Annotated[bool, typer.Option("--collapse", help="Show near copies as one hit.")] = False,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="0: the nearest; 1: the widest cover of the best 1,000.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly what the HTTP API answers.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a contact sheet, too.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Search by text, by image, by a region of an image, or by text and image together.

    With --label or --no-label alone: the newest images with, or without, these labels.
    """
    from kindred_standalone.cli.running import run
    from kindred_standalone.errors import UsageError
    from kindred_standalone.queries import Query, Region

    if not text.strip() and image is None and not label and not no_label:
        raise UsageError("say what to look for: a text, --image FILE, --label NAME, or several of them")
    if region and image is None:
        raise UsageError("--region goes with --image")
    if min_precision and not label:
        raise UsageError("--min-precision goes with --label")
    query = Query(
        text=text,
        image=image,
        region=Region.parse(region) if region else None,
        labels=tuple(label or ()),
        without_labels=tuple(no_label or ()),
        min_precision=min_precision,
        limit=limit,
        min_score=min_score,
        facets=facets,
        collapse_duplicates=collapse,
        diversity=diversity,
    )
    run(_search(directory(context, data_dir), query, as_json=as_json, html=html))


async def _search(where: DataDirectory, query: Query, *, as_json: bool, html: Path | None) -> None:
    from kindred_standalone import tables
    from kindred_standalone.cli.running import err, out
    from kindred_standalone.connect import connect
    from kindred_standalone.hits import shown_hits
    from kindred_standalone.queries import ask
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable_path

    where.require()
    async with connect(where, StandaloneSettings(), command="search") as node:
        answer = await ask(node, query)
        hits = await shown_hits(node, answer.results)
        if as_json:
            typer.echo(answer.raw)
        elif hits:
            out.print(tables.hits_table(hits, width=out.width))
        else:
            out.print("Nothing matches.")
        if query.facets and hits and not as_json:
            out.print(tables.facets_table(answer.body["facets"], answer.body["total"]["value"]))
        if html is not None:
            from kindred_standalone.contact_sheet import write_contact_sheet

            await write_contact_sheet(node, html, [(query, hits)])
            err.print(f"Contact sheet: {printable_path(html)}", markup=False, soft_wrap=True)
