"""`kindred status` and `kindred reindex`."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def reindex(context: typer.Context, as_json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Build the vector index anew from the catalogue. Searches go on meanwhile; nothing is embedded again."""
    from kindred_standalone.cli.running import run

    run(_reindex(directory(context, data_dir), as_json=as_json), interrupted="Stopped; the old index stays in use.")


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


async def _reindex(where: DataDirectory, *, as_json: bool) -> None:
    import orjson
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred.search.v1 import search_pb2 as pb
    from kindred_standalone.cli.running import err, out
    from kindred_standalone.connect import connect
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import count_text

    where.require()
    columns = (TextColumn("Building the index"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    last = pb.ReindexProgress()
    async with connect(where, StandaloneSettings(), command="reindex") as node:
        with Progress(*columns, console=err, transient=True, disable=as_json) as progress:
            task = progress.add_task("", total=None)
            async for step in node.search.Reindex(pb.ReindexRequest()):
                last = step
                progress.update(task, completed=step.done, total=step.total)
    if as_json:
        typer.echo(orjson.dumps({"images": last.done, "index_version": last.index_version}).decode())
    else:
        out.print(f"{count_text(last.done, 'image')} in the new index, version {last.index_version}.")
