"""`kindred label`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import JsonOption

if TYPE_CHECKING:
    from kindred_detector.options import DetectOptions
    from kindred_standalone.labelling import Labelling

PREVIEW = "preview.html"
_REFRESH_S = 0.2
INTERRUPTED_TEXT = "Stopped. What is labelled stays; run the same command again to go on from here."


def label(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Photos; read with all below, and never changed.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A new folder for the labels.")],
    form: Annotated[str, typer.Option("--format", help="coco, yolo, voc or json.")] = "coco",
    score_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score; default: the model's.", show_default=False)
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of kindred labels calibrate; other classes are left out."),
    ] = None,
    nms_iou: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of two boxes that overlap by more, the weaker goes.")
    ] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Only this class; may be repeated.")] = None,
    max_detections: Annotated[int, typer.Option(min=1, max=300, help="Boxes of one photo.")] = 100,
    models: Annotated[str, typer.Option("--models", metavar="A,B", help="Models of one label set, fused.")] = "",
    tta: Annotated[bool, typer.Option("--tta", help="Look at the mirrored photo too, and fuse.")] = False,
    scales: Annotated[str, typer.Option(metavar="S,S", help="Look at these sizes too: 0.5..2.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Label a folder of photos without indexing it, for annotation tools. A run that was stopped goes on from there.

    Writes the labels and a contact sheet, preview.html. Exit code 1 when nothing could be labelled.
    """
    import orjson

    from kindred_detector.options import DetectOptions
    from kindred_standalone import tables
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.running import out, run
    from kindred_standalone.detecting import augmentation_of
    from kindred_standalone.errors import UsageError
    from kindred_standalone.label_formats import FORMATS
    from kindred_standalone.labelling import read_thresholds
    from kindred_standalone.parsing import names_of
    from kindred_standalone.text import count_text, printable_path

    if form not in FORMATS:
        raise UsageError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {printable_path(folder)}")
    if thresholds is not None and score_threshold is not None:
        raise UsageError("--thresholds and --score-threshold exclude each other")
    lowest = read_thresholds(thresholds) if thresholds is not None else None
    options = DetectOptions(
        score_threshold=min(lowest.values()) if lowest else score_threshold,
        max_detections=max_detections,
        classes=frozenset(classes or ()),
        nms_iou=nms_iou,
        augmentation=augmentation_of(tta=tta, scales=scales),
        models=names_of(models),
    )
    done = run(_label(folder, output, form, options, lowest, quiet=as_json), interrupted=INTERRUPTED_TEXT)
    if as_json:
        counts = {
            "images": len(done.images),
            "resumed": done.resumed,
            "boxes": done.boxes,
            "failed": [
                {"path": printable_path(problem.path), "code": problem.code, "detail": problem.detail}
                for problem in done.problems
            ],
        }
        typer.echo(orjson.dumps(counts).decode())
    else:
        if done.problems:
            out.print(tables.failures_table(done.problems, "labelled", width=out.width))
        counted = f"{count_text(done.boxes, 'box', 'boxes')} on {count_text(len(done.images), 'photo')}"
        out.print(f"{counted}, {done.resumed:,} of them known from before: {printable_path(output)}", markup=False)
    if not done.images:
        raise typer.Exit(FAILED)


async def _label(
    folder: Path, output: Path, form: str, options: DetectOptions, thresholds: dict[str, float] | None, *, quiet: bool
) -> Labelling:
    import asyncio

    from kindred_standalone.detecting import open_detector
    from kindred_standalone.label_preview import write_preview
    from kindred_standalone.labelling import Journal, Labelling, fingerprint, in_order, label_files, write_export
    from kindred_standalone.scan import scan
    from kindred_standalone.settings import StandaloneSettings

    progress = Labelling()
    async with open_detector(StandaloneSettings()) as detector:
        journal = Journal(output, fingerprint(detector, options, thresholds))
        found = await asyncio.to_thread(scan, [folder], exclude=[output])
        progress.problems.extend(found.problems)
        progress.total = len(found.candidates)
        async with _bar(progress, quiet=quiet):
            await label_files(detector, options, folder, found.candidates, journal, progress, thresholds)
        model = options.chosen(detector.models, detector.default)[0]
        images = in_order(progress)
        if images:
            await asyncio.to_thread(write_export, output, form, images, model.classes, model.label_set)
            await asyncio.to_thread(write_preview, output / PREVIEW, folder, progress, model.classes)
    return progress


@asynccontextmanager
async def _bar(progress: Labelling, *, quiet: bool) -> AsyncIterator[None]:
    import asyncio

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred_standalone.cli.running import beside, err

    columns = (TextColumn("Labelling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=progress.total)

        async def watch() -> None:
            while True:
                bar.update(task, completed=len(progress.images) + len(progress.problems))
                await asyncio.sleep(_REFRESH_S)

        async with beside(watch()):
            yield
