"""`kindred demo`: what `make demo` runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory

_NEXT = """
What next:
  make up                       the search page and the HTTP API on http://127.0.0.1:8080
  make demo IMAGES=~/Pictures   the same with your own photos (they stay where they are)
  {kindred} --data-dir {data_dir} search "a red motorcycle"
"""


def demo(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Your own images; without any, photographs inside installed packages.", show_default=False),
    ] = None,
    report: Annotated[Path, typer.Option(metavar="FILE", help="The contact sheet to write.")] = Path("report.html"),
    data_dir: DataDirOption = None,
) -> None:
    """Index photos, run example searches, write a contact sheet. A second run embeds nothing again."""
    from kindred_standalone.cli.index import INTERRUPTED_TEXT
    from kindred_standalone.cli.running import run
    from kindred_standalone.errors import UsageError
    from kindred_standalone.text import printable_path

    for path in paths or ():
        if not path.exists():
            raise UsageError(f"there is no {printable_path(path)}")
    run(_demo(directory(context, data_dir), paths or [], report), interrupted=INTERRUPTED_TEXT)


async def _demo(where: DataDirectory, paths: list[Path], report: Path) -> None:
    from kindred_standalone import tables
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.index import show_summary
    from kindred_standalone.cli.indexing import index_paths
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import Session
    from kindred_standalone.contact_sheet import write_contact_sheet
    from kindred_standalone.demo import demo_paths, demo_queries
    from kindred_standalone.hits import shown_hits
    from kindred_standalone.prepare import Labels
    from kindred_standalone.queries import ask
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable_path

    settings = StandaloneSettings()
    chosen = demo_paths(paths)
    where.create()
    async with Session.of(where, settings, command="demo") as session:
        summary = await index_paths(where, settings, chosen, Labels(source="demo"), session=session)
        show_summary(summary)
        if not summary.searchable:
            raise typer.Exit(FAILED)
        searches = []
        for query in await demo_queries(session.node, own_images=bool(paths)):
            answer = await ask(session.node, query)
            hits = await shown_hits(session.node, answer.results)
            filters = f" ({query.filters})" if query.filters else ""
            out.print()
            out.print(tables.hits_table(hits, f"{query.title}{filters}", width=out.width))
            searches.append((query, hits))
        await write_contact_sheet(session.node, report, searches, foot="Written by kindred demo.")
    out.print(f"\nContact sheet: {printable_path(report)}", markup=False, soft_wrap=True)
    following = _NEXT.format(kindred=_from_here(sys.argv[0]), data_dir=_from_here(where.root))
    out.print(following.rstrip(), markup=False, soft_wrap=True)


def _from_here(path: str | Path) -> str:
    """A path as it is typed in this folder: relative where it lies below."""
    absolute = Path(path).absolute()
    shown = absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    return shlex.quote(str(shown))
