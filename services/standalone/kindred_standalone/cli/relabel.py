"""`kindred relabel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred.detector.v1 import detector_pb2 as pb
    from kindred_standalone.datadir import DataDirectory

_SHOWN_FAILURES = 20


@dataclass
class _Watched:
    """`before`: images that had such labels already; `last`: the job's last message."""

    before: int
    last: pb.RelabelProgress
    failures: list[pb.RelabelProgress.Failed]


_INTERRUPTED = "Stopped. What has its new labels keeps them; run the same command again to go on from here."


def relabel(
    context: typer.Context,
    models: Annotated[
        str, typer.Option("--model", "--models", metavar="A,B", help="Models of one label set, several are fused.")
    ] = "",
    tta: Annotated[bool, typer.Option("--tta", help="Look at the mirrored image too, and fuse.")] = False,
    scales: Annotated[str, typer.Option(metavar="S,S", help="Look at these sizes too: 0.5..2.")] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Only images indexed since: 2026-01-31, 2026-01-31T18:00, 36h or 7d.")
    ] = "",
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Label the indexed images again, with other models or more looks; searches go on, embeddings stay as they are.

    An image keeps its old labels until its new ones are there. What has been labelled so already is not looked at, so
    that a run that was stopped goes on. Exit code 1 when images could not be looked at.
    """
    import orjson

    from kindred.detector.v1 import detector_pb2 as pb
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.running import err, out, run
    from kindred_standalone.parsing import names_of, scales_of, since_ms
    from kindred_standalone.text import count_text, printable

    request = pb.RelabelRequest(
        models=names_of(models),
        augmentation=pb.Augmentation(flip=tta, scales=scales_of(scales)),
        since_ms=since_ms(since) if since else 0,
    )
    watched = run(_relabel(directory(context, data_dir), request, quiet=as_json), interrupted=_INTERRUPTED)
    last = watched.last
    if as_json:
        told = [{"id": entry.image_id, "code": entry.code, "detail": entry.detail} for entry in watched.failures]
        counts = {"before": watched.before, "labelled": last.done, "total": last.total, "failed": last.failed}
        answer = {"label_set": last.label_set, "run": last.run, **counts, "failures": told}
        typer.echo(orjson.dumps(answer).decode())
    else:
        of_run = f"{last.label_set} labels of {printable(last.run)}"
        out.print(f"{last.done:,} of {count_text(last.total, 'image')} have {of_run}.", markup=False)
        for entry in watched.failures[:_SHOWN_FAILURES]:
            err.print(f"  {entry.image_id[:12]}  {entry.code}: {printable(entry.detail)}", markup=False)
        if last.failed:
            err.print(f"{count_text(last.failed, 'image')} kept the old labels; kindred show ID names the file.")
    if last.failed:
        raise typer.Exit(FAILED)


async def _relabel(where: DataDirectory, request: pb.RelabelRequest, *, quiet: bool) -> _Watched:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred_standalone.cli.running import err
    from kindred_standalone.connect import Node, Session
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    columns = (
        TextColumn("Labelling again"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=None, failed="")

        async def watch(node: Node) -> _Watched:
            watched = None
            async for step in node.detector.Relabel(request):
                watched = watched or _Watched(step.done, step, [])
                watched.last = step
                watched.failures.extend(step.failures)
                failed = f"[red]{step.failed} failed[/]" if step.failed else ""
                progress.update(task, completed=step.done + step.failed, total=step.total, failed=failed)
            assert watched is not None  # the first message counts, the last one says that it is finished
            return watched

        # the owner may be a server that ends meanwhile: this process takes over then
        async with Session.of(where, StandaloneSettings(), command="relabel") as session:
            return await session.call(watch)
