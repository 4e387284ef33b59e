"""`kindred status` and `kindred reindex`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.connect import Node
    from kindred_standalone.datadir import DataDirectory

_SHOWN_LABELS = 12


def status(context: typer.Context, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Count images, labels, failures and bytes of the gallery."""
    from kindred_standalone.cli.running import run

    run(_status(directory(context, data_dir), as_json=as_json))


def reindex(
    context: typer.Context,
    embed: Annotated[
        bool, typer.Option("--embed", help="Embed first what has no embedding of the models' space, after a change.")
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Build the vector index anew from the catalogue. Searches go on meanwhile; only --embed looks at images again."""
    from kindred_standalone.cli.running import run

    interrupted = "Stopped; the old index stays in use. Run the same command again to go on from here."
    run(_reindex(directory(context, data_dir), embed=embed, as_json=as_json), interrupted=interrupted)


async def _status(where: DataDirectory, *, as_json: bool) -> None:
    import orjson

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone import tables
    from kindred_standalone.cli.running import out
    from kindred_standalone.connect import LOCAL, connect
    from kindred_standalone.settings import StandaloneSettings

    where.require()
    async with connect(where, StandaloneSettings(), command="status") as node:
        counts = await node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL))
        labels = await node.search.ListLabels(pb.ListLabelsRequest(principal=LOCAL))
        if as_json:
            typer.echo(orjson.dumps(_status_json(where, node, counts, labels)).decode())
        else:
            out.print(tables.facts_table(_status_facts(where, node, counts, labels)))


def _status_json(
    where: DataDirectory, node: Node, counts: pb.GetStatusResponse, labels: pb.ListLabelsResponse
) -> dict[str, object]:
    from kindred_standalone.datadir import directory_size

    return {
        "data_dir": str(where.root),
        "images": counts.images,
        "indexed": counts.indexed,
        "pending": counts.pending,
        "failed": counts.failed,
        "space": counts.space,
        "dimension": counts.dimension,
        "index_version": counts.index_version,
        "index_rows": counts.index_rows,
        "size_bytes": directory_size(where.root),
        "owner": None
        if node.is_owner
        else {"pid": node.owner.pid, "command": node.owner.command, "url": node.owner.url},
        "labels": [
            {"label_set": entry.label_set, "class": entry.class_name, "images": entry.images, "boxes": entry.boxes}
            for entry in labels.labels
        ],
    }


def _status_facts(
    where: DataDirectory, node: Node, counts: pb.GetStatusResponse, labels: pb.ListLabelsResponse
) -> list[tuple[str, str]]:
    from kindred_standalone.datadir import directory_size, free_bytes
    from kindred_standalone.text import printable_path, size_text

    facts = [
        ("data directory", printable_path(where.root)),
        (
            "images",
            f"{counts.images:,} ({counts.indexed:,} searchable, {counts.pending:,} waiting, {counts.failed:,} failed)",
        ),
        ("model", f"{counts.space}, {counts.dimension} numbers an image"),
        ("index", f"{counts.index_rows:,} rows, version {counts.index_version}"),
        ("disk", f"{size_text(directory_size(where.root))} used, {size_text(free_bytes(where.root))} free"),
    ]
    if labels.labels:
        shown = ", ".join(f"{entry.class_name} {entry.images:,}" for entry in labels.labels[:_SHOWN_LABELS])
        facts.append(("labels", shown + (" …" if len(labels.labels) > _SHOWN_LABELS else "")))
    if not node.is_owner:
        served = f", serving {node.owner.url}" if node.owner.url else ""
        facts.append(("in use by", f"process {node.owner.pid} (kindred {node.owner.command}{served})"))
    return facts


async def _reindex(where: DataDirectory, *, embed: bool, as_json: bool) -> None:
    import orjson
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred.embedder.v1 import embedder_pb2
    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import err, out
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import count_text

    where.require()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    embedded, last = embedder_pb2.EmbedBacklogProgress(), pb.ReindexProgress()
    async with connect(where, StandaloneSettings(), command="reindex", any_space=embed) as node:
        with Progress(*columns, console=err, transient=True, disable=as_json) as progress:
            if embed:
                task = progress.add_task("Embedding", total=None)
                async for embedded in node.embedder.EmbedBacklog(embedder_pb2.EmbedBacklogRequest()):
                    progress.update(task, completed=embedded.done + embedded.failed, total=embedded.total)
            task = progress.add_task("Building the index", total=None)
            async for last in node.search.Reindex(pb.ReindexRequest(space=embedded.space)):
                progress.update(task, completed=last.done, total=last.total)
    if as_json:
        done = {"images": last.done, "index_version": last.index_version}
        typer.echo(orjson.dumps(done | ({"not_embedded": embedded.failed} if embed else {})).decode())
    else:
        if embedded.failed:
            out.print(f"{count_text(embedded.failed, 'image')} can't be embedded and will not be found.")
        out.print(f"{count_text(last.done, 'image')} in the new index, version {last.index_version}.")
