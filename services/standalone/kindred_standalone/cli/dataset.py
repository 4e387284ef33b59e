"""`kindred dataset`: build, list, show, rm, download."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from kindred.datasets.v1 import datasets_pb2 as pb
    from kindred_standalone.connect import Node
    from kindred_standalone.datadir import DataDirectory
    from kindred_standalone.datasets.order import Arguments

app = typer.Typer(
    help="Labelled training sets: from a query, from ids, from photos a model fails on.", no_args_is_help=True
)
INTERRUPTED_TEXT = "Stopped. What is done so far stays; run the same command again to go on from here."
_IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a data set, or its first characters.")]


@app.command()
def build(
    context: typer.Context,
    query: Annotated[str, typer.Option(metavar="TEXT", help="What the images show, in English words.")] = "",
    ids: Annotated[Path | None, typer.Option(metavar="FILE", help="Exactly these images: an id a line.")] = None,
    failures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos on which your model fails: find more like each of them.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="COCO file: what the model missed on --failures.")
    ] = None,
    holdout: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Your validation and test photos: their near copies are left out. Repeatable."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, max=100_000, help="Images wanted.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only images with this label; may be repeated.")] = None,
    no_label: Annotated[list[str] | None, typer.Option(help="Only images without this label; may be repeated.")] = None,
    form: Annotated[str, typer.Option("--format", help="coco, yolo or voc.")] = "coco",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A new folder, or a file that ends in .zip.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Lowest score (cosine).", show_default=False)
    ] = None,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0: the nearest; 1: the widest cover.")] = 0.0,
    balance: Annotated[bool, typer.Option("--balance", help="Equal shares for the classes.")] = False,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Keep near copies.")] = False,
    license_type: Annotated[str, typer.Option(help="What licences have to permit: commercial, modification.")] = "",
    class_name: Annotated[
        list[str] | None, typer.Option("--class", help="Export boxes of this class only; may be repeated.")
    ] = None,
    label_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Export no box below this score.", show_default=False)
    ] = None,
    thresholds: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of kindred labels calibrate; other classes are left out.")
    ] = None,
    precision: Annotated[
        float,
        typer.Option(min=0, max=1, help="Export only boxes so precise, as calibrate has measured."),
    ] = 0.0,
    links: Annotated[bool, typer.Option("--links", help="Links to the images instead of their files.")] = False,
    val_share: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the validation split.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    name: Annotated[str, typer.Option(help="A name of your own for it.")] = "",
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Build a labelled data set. The same command again goes on with what was stopped.

    Exit code 1 when nothing could be built; the error says which filter left nothing.
    """
    from kindred_standalone.cli.running import run
    from kindred_standalone.datasets.archive import require_free
    from kindred_standalone.datasets.order import FORMATS, Arguments
    from kindred_standalone.errors import UsageError
    from kindred_standalone.text import printable_path

    sources = [said for said in (query.strip(), ids, failures) if said]
    if len(sources) > 1 or not (sources or label or no_label):
        raise UsageError(
            "say what to build from: one of --query TEXT, --ids FILE and --failures DIR, or --label NAME alone"
        )
    if size is None and ids is None:
        raise UsageError("--size says how many images are wanted")
    if boxes is not None and failures is None:
        raise UsageError("--boxes goes with --failures")
    if form not in FORMATS:
        raise UsageError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    for folder in (failures, *(holdout or ())):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"there is no folder {printable_path(folder)}")
    if thresholds is not None and precision:
        raise UsageError("--thresholds and --precision exclude each other")
    if output is not None:
        require_free(output)
    arguments = Arguments(
        query=query.strip(),
        ids=ids,
        failures=failures,
        boxes=boxes,
        holdout=tuple(holdout or ()),
        labels=tuple(label or ()),
        without_labels=tuple(no_label or ()),
        size=size,
        form=form,
        name=name,
        min_score=min_score,
        diversity=diversity,
        balance=balance,
        keep_duplicates=keep_duplicates,
        license_type=license_type,
        links=links,
        classes=tuple(class_name or ()),
        label_score=label_score,
        thresholds=_thresholds(thresholds) if thresholds is not None else None,
        val_share=val_share,
        seed=seed,
    )
    work = _build(directory(context, data_dir), arguments, precision, output, as_json=as_json)
    run(work, interrupted=INTERRUPTED_TEXT)


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """List the data sets, newest first."""
    from kindred_standalone.cli.running import run

    run(_list(directory(context, data_dir), as_json=as_json))


@app.command()
def show(
    context: typer.Context, name: _IdArgument, as_json: JsonOption = False, data_dir: DataDirOption = None
) -> None:
    """Show one data set: state, counts, what was left out and why."""
    from kindred_standalone.cli.running import run

    run(_show(directory(context, data_dir), name, as_json=as_json))


@app.command()
def rm(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of data sets, or their first characters.")],
    data_dir: DataDirOption = None,
) -> None:
    """Delete data sets; one that is being built is stopped. Images and what you have downloaded stay."""
    from kindred_standalone.cli.running import run

    run(_rm(directory(context, data_dir), names))


@app.command()
def download(
    context: typer.Context,
    name: _IdArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="A new folder, or a file that ends in .zip.")
    ],
    data_dir: DataDirOption = None,
) -> None:
    """Fetch a finished data set once more."""
    from kindred_standalone.cli.running import run
    from kindred_standalone.datasets.archive import require_free

    require_free(output)
    run(_download(directory(context, data_dir), name, output))


def _thresholds(path: Path) -> dict[str, float]:
    from kindred_standalone.labelling import read_thresholds  # and the detector with it

    return read_thresholds(path)


async def _build(
    where: DataDirectory, arguments: Arguments, precision: float, output: Path | None, *, as_json: bool
) -> None:
    import asyncio
    from functools import partial

    from kindred_standalone.cli.running import err, out
    from kindred_standalone.connect import Session
    from kindred_standalone.datasets.archive import fetch, manifest_of
    from kindred_standalone.datasets.building import build as build_dataset
    from kindred_standalone.datasets.order import order_of, with_precision
    from kindred_standalone.datasets.shown import summary_table
    from kindred_standalone.queries import checked
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable_path

    where.require()
    settings = StandaloneSettings()
    order = await asyncio.to_thread(order_of, arguments, settings.limits)
    async with Session.of(where, settings, command="dataset") as session:
        if precision:
            order = await session.call(partial(with_precision, order, precision))
        async with _bar(quiet=as_json) as bar:
            made = await build_dataset(session, order, bar.stage)
            if output is not None:
                await fetch(session.node, made.dataset_id, output, bar.bytes)
        answer = checked(await session.node.http.get(f"/v1/datasets/{made.dataset_id}"))
    manifest = await asyncio.to_thread(manifest_of, output) if output is not None else None
    if as_json:
        typer.echo(answer.raw)
        return
    out.print(summary_table(answer.body, manifest))
    if output is not None:
        err.print(f"Data set: {printable_path(output)} ({made.dataset_id})", markup=False, soft_wrap=True)
    else:
        err.print(f"Fetch it with:  kindred dataset download {made.dataset_id} -o OUT", markup=False, soft_wrap=True)


async def _list(where: DataDirectory, *, as_json: bool) -> None:
    import orjson

    from kindred_standalone.cli.running import out
    from kindred_standalone.datasets.shown import list_table

    async with _connected(where) as node:
        datasets = await _all(node)
    if as_json:
        typer.echo(orjson.dumps({"datasets": datasets}).decode())
    elif datasets:
        out.print(list_table(datasets))
    else:
        out.print("There are no data sets.")


async def _show(where: DataDirectory, name: str, *, as_json: bool) -> None:
    from kindred_standalone.cli.running import out
    from kindred_standalone.datasets.shown import detail_table
    from kindred_standalone.queries import checked

    async with _connected(where) as node:
        answer = checked(await node.http.get(f"/v1/datasets/{await _find(node, name)}"))
    if as_json:
        typer.echo(answer.raw)
    else:
        out.print(detail_table(answer.body))


async def _rm(where: DataDirectory, names: list[str]) -> None:
    from kindred_standalone.cli.running import out
    from kindred_standalone.queries import checked
    from kindred_standalone.text import count_text

    async with _connected(where) as node:
        # all names first: a typing error in the last must not leave half of the work done
        ids = list(dict.fromkeys([await _find(node, name) for name in names]))
        for dataset_id in ids:
            checked(await node.http.delete(f"/v1/datasets/{dataset_id}"))
    out.print(f"{count_text(len(ids), 'data set')} deleted; the images stay.")


async def _download(where: DataDirectory, name: str, output: Path) -> None:
    from kindred_standalone.cli.running import out
    from kindred_standalone.datasets.archive import fetch
    from kindred_standalone.text import printable_path

    async with _connected(where) as node:
        dataset_id = await _find(node, name)
        async with _bar(quiet=False) as bar:
            await fetch(node, dataset_id, output, bar.bytes)
    out.print(f"Data set: {printable_path(output)}", markup=False, soft_wrap=True)


@asynccontextmanager
async def _connected(where: DataDirectory) -> AsyncIterator[Node]:
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    async with connect(where, StandaloneSettings(), command="dataset") as node:
        yield node


async def _all(node: Node) -> list[dict[str, Any]]:
    from kindred_standalone.queries import checked

    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = checked(await node.http.get("/v1/datasets", params={"limit": 100, "after": after})).body
        found += page["datasets"]
        if not page["next_after"]:
            return found
        after = page["next_after"]


async def _find(node: Node, name: str) -> str:
    """The data set that a person means. Raises UsageError."""
    from kindred_standalone.errors import UsageError
    from kindred_standalone.text import printable

    ids = [dataset["id"] for dataset in await _all(node)]
    matching = [name] if name in ids else [dataset_id for dataset_id in ids if dataset_id.startswith(name)]
    if len(matching) != 1 or not name:
        many = "several data sets begin" if matching else "no data set begins"
        raise UsageError(f"{many} with {printable(name)!r}; kindred dataset list shows them")
    return matching[0]


class _Bar:
    def __init__(self, update: Callable[[str, int, int | None], None]) -> None:
        self._update = update

    def stage(self, dataset: pb.Dataset) -> None:
        from kindred_standalone.datasets.shown import STAGES

        self._update(STAGES.get(dataset.stage, dataset.stage), dataset.done, dataset.total or None)

    def bytes(self, done: int, total: int) -> None:
        self._update("Fetching (MB)", done // 1_000_000, max(1, total // 1_000_000))


@asynccontextmanager
async def _bar(*, quiet: bool) -> AsyncIterator[_Bar]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred_standalone.cli.running import err

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("Starting", total=None)

        def update(description: str, done: int, total: int | None) -> None:
            progress.update(task, description=description, completed=done, total=total)

        yield _Bar(update)
