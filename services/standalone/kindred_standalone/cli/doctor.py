"""`kindred doctor`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory

_MEANINGS = {
    "blob_orphan": "stored bytes that no image has",
    "thumb_orphan": "thumbnails that no image has",
    "blob_missing": "images whose stored bytes are gone: they leave the index until they are added again",
    "thumb_missing": "images whose thumbnail is gone",
    "file_missing": "images whose file is not where it was: index it again from where it is",
    "embedding_missing": "images without an embedding",
    "stuck_stored": "accepted images that the workers have passed over",
    "stuck_derived": "embedded images that were never said to be searchable",
    "index_missing": "images that are not in the index",
    "index_stale": "images of which the index holds an old version",
    "index_orphan": "index rows that no image has",
}
_SHOWN = 5


def doctor(
    context: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Set right what can be.")] = False,
    min_age: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Leave alone what is younger: it may be on its way.")
    ] = 3600.0,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Compare catalogue, index and stored bytes, also while the gallery is in use.

    Exit code 0 when all agree or all was set right, 1 when something is left.
    """
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.running import run

    if run(_doctor(directory(context, data_dir), int(min_age * 1000), fix=fix, as_json=as_json)):
        raise typer.Exit(FAILED)


async def _doctor(where: DataDirectory, min_age_ms: int, *, fix: bool, as_json: bool) -> bool:
    """Whether something is left."""
    import orjson
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import err, out
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable

    where.require()
    found: dict[str, list[str]] = {}
    fixed: Counter[str] = Counter()
    columns = (SpinnerColumn(), TextColumn("Comparing"), TextColumn("{task.completed:,.0f} found"))
    async with connect(where, StandaloneSettings(), command="doctor") as node:
        with Progress(*columns, console=err, transient=True, disable=as_json) as progress:
            task = progress.add_task("", total=None)
            async for finding in node.search.Inspect(pb.InspectRequest(fix=fix, min_age_ms=min_age_ms)):
                found.setdefault(finding.kind, []).append(finding.subject)
                fixed[finding.kind] += finding.fixed
                progress.advance(task)
    if as_json:
        told = {kind: {"count": len(each), "fixed": fixed[kind], "subjects": each} for kind, each in found.items()}
        typer.echo(orjson.dumps({"findings": told}).decode())
    for kind, each in found.items() if not as_json else ():
        which = ", ".join(printable(subject) for subject in each[:_SHOWN]) + (" …" if len(each) > _SHOWN else "")
        mended = f", {fixed[kind]:,} set right" if fix else ""
        out.print(f"{len(each):,} {_MEANINGS.get(kind, kind)}{mended}: {which}", markup=False)
    if not found and not as_json:
        out.print("Catalogue, index and stored bytes agree.")
    return sum(map(len, found.values())) > fixed.total()
