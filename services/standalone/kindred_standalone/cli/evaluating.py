"""`kindred labels evaluate` and `kindred labels calibrate`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindred_standalone.cli.options import DataDirOption, JsonOption, directory

if TYPE_CHECKING:
    from kindred_standalone.detecting import Way
    from kindred_standalone.evaluation import Matches, Measured, Quality

PRECISIONS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
"""That a label filter can ask for after a calibration, beside the one that was wanted."""
_SHOWN_CLASSES = 20

CocoOption = Annotated[Path, typer.Option("--coco", metavar="FILE", help="COCO annotations: the true boxes.")]
ImagesOption = Annotated[Path, typer.Option("--images", metavar="DIR", help="The images that they name.")]
ModelOption = Annotated[str, typer.Option("--model", help="A model that detects; default: the profile's.")]
TtaOption = Annotated[bool, typer.Option("--tta", help="Also look at the mirrored image.")]
ScalesOption = Annotated[
    str, typer.Option(metavar="S,S", help="Also look at these sizes: 0.5..1 smaller, 1..2 larger in four parts.")
]
EnsembleOption = Annotated[str, typer.Option(metavar="A,B", help="Also fuse these models of one label set.")]


def evaluate(
    coco: CocoOption,
    images: ImagesOption,
    model: ModelOption = "",
    tta: TtaOption = False,
    scales: ScalesOption = "",
    ensemble: EnsembleOption = "",
    as_json: JsonOption = False,
) -> None:
    """Measure the labels on images with known boxes: a single run, TTA and an ensemble beside it, and their cost."""
    from kindred_standalone.cli.running import out, run

    ways = _ways(model, tta=tta, scales=scales, ensemble=ensemble)
    measured, threshold, lacking = run(_measure(coco, images, ways, quiet=as_json))
    if as_json:
        _print_json(
            {"threshold": threshold, "categories_without_class": lacking, "ways": [_way_json(way) for way in measured]}
        )
        return
    out.print(_summary_table(measured, threshold))
    for way in measured[1:]:
        out.print(_verdict(measured[0], way, threshold), markup=False)
    out.print(_classes_table(measured, threshold))
    if lacking:
        out.print(f"Not measured, the label set has no such class: {', '.join(lacking)}", markup=False)


def calibrate(
    context: typer.Context,
    coco: CocoOption,
    images: ImagesOption,
    precision: Annotated[float, typer.Option(min=0.01, max=1, help="Precision that each class has to reach.")] = 0.9,
    min_boxes: Annotated[int, typer.Option(min=1, help="Detections that a threshold has to rest on.")] = 10,
    model: ModelOption = "",
    tta: TtaOption = False,
    scales: ScalesOption = "",
    ensemble: EnsembleOption = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: where the gallery's label filters look for it."),
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Find for each class the lowest threshold from which on its labels are as precise as wanted, and write them."""
    from kindred_standalone.cli.running import out, run
    from kindred_standalone.text import count_text, printable_path

    where = directory(context, data_dir)
    if output is None:
        where.require()
    # one way alone: what was chosen last
    way = _ways(model, tta=tta, scales=scales, ensemble=ensemble)[-1]
    [measured], _, _ = run(_measure(coco, images, [way], quiet=as_json))
    document = _calibration(measured, precision, min_boxes)
    if output is None:
        where.calibrations.mkdir(exist_ok=True)
        output = where.calibrations / _file_name(measured)
    _write(output, document)
    if as_json:
        _print_json(document)
        return
    reached = document["classes"]
    out.print(f"{count_text(len(reached), 'class', 'classes')} reach a precision of {precision:g}:", markup=False)
    for name, entry in sorted(reached.items(), key=lambda item: item[1]["threshold"]):
        out.print(f"  {name}: {entry['threshold']:.2f} (recall {entry['recall']:.2f})", markup=False)
    if document["without"]:
        names = ", ".join(document["without"])
        out.print(f"No threshold, too few detections or never so precise: {names}", markup=False)
    out.print(f"Written: {printable_path(output)}", markup=False)


def _ways(model: str, *, tta: bool, scales: str, ensemble: str) -> list[Way]:
    from kindred_detector.options import DetectOptions
    from kindred_detector.views import Augmentation
    from kindred_standalone.detecting import Way, augmentation_of
    from kindred_standalone.parsing import names_of

    models = names_of(model)
    augmentation = augmentation_of(tta=tta, scales=scales)
    ways = [Way("single", DetectOptions(models=models))]
    if augmentation != Augmentation():
        ways.append(Way("tta", DetectOptions(models=models, augmentation=augmentation)))
    if ensemble:
        ways.append(Way("wbf", DetectOptions(models=names_of(ensemble))))
        if augmentation != Augmentation():
            ways.append(Way("wbf + tta", DetectOptions(models=names_of(ensemble), augmentation=augmentation)))
    return ways


async def _measure(
    coco: Path, images: Path, ways: list[Way], *, quiet: bool
) -> tuple[list[Measured], float, list[str]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kindred_standalone.cli.running import err
    from kindred_standalone.detecting import open_detector
    from kindred_standalone.evaluation import Truth
    from kindred_standalone.settings import StandaloneSettings

    truth = Truth(coco, images)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with open_detector(StandaloneSettings()) as detector:
        for way in ways:
            way.options.chosen(detector.models, detector.default)  # before the first takes its time
        first = ways[0].options.chosen(detector.models, detector.default)[0]
        _, lacking = truth.categories(first.classes)
        measured = []
        with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
            for way in ways:
                task = progress.add_task(way.name, total=len(truth.images))
                measured.append(await truth.measure(detector, way, partial(progress.advance, task)))
    return measured, first.score_threshold, lacking


def _summary_table(measured: list[Measured], threshold: float) -> Any:
    from rich.table import Table

    table = Table("run", "models", "AP", "AP50", "AR@100", f"precision @{threshold:g}", f"recall @{threshold:g}")
    table.add_column("ms an image", justify="right")
    for way in measured:
        quality = way.total.at(threshold)
        table.add_row(
            way.way.name,
            way.model,
            *(f"{value:.3f}" for value in (way.ap, way.ap50, way.ar)),
            _share(quality.precision),
            _share(quality.recall),
            f"{way.seconds_per_image * 1000:.0f}",
        )
    return table


def _verdict(single: Measured, way: Measured, threshold: float) -> str:
    """Better or worse, and the price. A threshold means another thing to fused scores: the same recall decides."""
    recall = single.total.at(threshold).recall or 0.0
    before, after = single.total.precision_at_recall(recall), way.total.precision_at_recall(recall)
    price = way.seconds_per_image / max(single.seconds_per_image, 1e-9)
    said = (
        f"{way.way.name}: AP {way.ap - single.ap:+.3f}, AP50 {way.ap50 - single.ap50:+.3f}, {price:.1f} times the time"
    )
    if before is None or after is None:
        return f"{said}; it never reaches the single run's recall of {recall:.2f}: recall is LOWER"
    verdict = "LOWER" if after < before else "higher" if after > before else "the same"
    return f"{said}; precision at the single run's recall of {recall:.2f}: {before:.3f} -> {after:.3f}, {verdict}"


def _classes_table(measured: list[Measured], threshold: float) -> Any:
    from rich.table import Table

    table = Table("class", "boxes", title=f"Precision / recall at {threshold:g}, IoU 0.5 (--json: all thresholds)")
    for way in measured:
        table.add_column(way.way.name, justify="right")
    by_boxes = sorted(measured[0].classes, key=lambda name: -measured[0].classes[name].there)
    for name in by_boxes[:_SHOWN_CLASSES]:
        qualities = [way.classes[name].at(threshold) for way in measured]
        cells = (f"{_share(quality.precision)} / {_share(quality.recall)}" for quality in qualities)
        table.add_row(name, str(qualities[0].there), *cells)
    if len(by_boxes) > _SHOWN_CLASSES:
        table.add_row(f"… {len(by_boxes) - _SHOWN_CLASSES} more", "", *("" for _ in measured))
    return table


def _way_json(way: Measured) -> dict[str, Any]:
    return {
        "run": way.way.name,
        "model": way.model,
        "ap": round(way.ap, 4),
        "ap50": round(way.ap50, 4),
        "ar": round(way.ar, 4),
        "ms_per_image": round(way.seconds_per_image * 1000, 1),
        "all": _matches_json(way.total),
        "classes": {name: _matches_json(matches) for name, matches in way.classes.items()},
    }


def _matches_json(matches: Matches) -> dict[str, Any]:
    from kindred_standalone.evaluation import THRESHOLDS

    return {"boxes": matches.there, "at": {f"{t:g}": _quality_json(matches.at(t)) for t in THRESHOLDS}}


def _quality_json(quality: Quality) -> dict[str, Any]:
    precision, recall = (None if v is None else round(v, 4) for v in (quality.precision, quality.recall))
    return {"found": quality.found, "right": quality.right, "precision": precision, "recall": recall}


def _calibration(measured: Measured, precision: float, min_boxes: int) -> dict[str, Any]:
    thresholds = {name: matches.threshold_for(precision, min_boxes) for name, matches in measured.classes.items()}
    return {
        "label_set": measured.label_set,
        "run": measured.run,
        "precision": precision,
        "min_boxes": min_boxes,
        "classes": {
            name: {"threshold": threshold, **_quality_json(measured.classes[name].at(threshold))}
            for name, threshold in thresholds.items()
            if threshold is not None
        },
        "without": [name for name, threshold in thresholds.items() if threshold is None],
        "precisions": {
            name: _thresholds(matches, sorted({*PRECISIONS, precision}), min_boxes)
            for name, matches in measured.classes.items()
        },
    }


def _thresholds(matches: Matches, precisions: Sequence[float], min_boxes: int) -> dict[str, float]:
    found = {f"{precision:g}": matches.threshold_for(precision, min_boxes) for precision in precisions}
    return {precision: threshold for precision, threshold in found.items() if threshold is not None}


def _file_name(measured: Measured) -> str:
    """One file for each label set and run: a calibration made again replaces the one before."""
    return f"{measured.label_set}.{re.sub(r'[^A-Za-z0-9._+-]+', '-', measured.run)}.json"


def _write(path: Path, document: dict[str, Any]) -> None:
    """The file appears whole or not at all. Raises OSError."""
    import json

    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    draft.replace(path)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_json(document: object) -> None:
    import orjson

    typer.echo(orjson.dumps(document).decode())
