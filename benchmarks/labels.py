"""AP of one look, of test-time augmentation and of two models fused, on photos with known boxes, and what each costs.

    make bench-labels        # 128 photos of COCO val2017, about two minutes

One image at a time, so that the time is that of one: decoding, all looks (side by side on the cores that there are),
fusion. The second model, YOLOX-nano, is not shipped. Source of AP: COCOeval.
"""

import asyncio
import importlib
import sys
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.gallery import shared
from kindred_detector.options import DetectOptions
from kindred_detector.views import Augmentation
from kindred_standalone.detecting import Way, open_detector
from kindred_standalone.evaluation import Measured, Truth
from kindred_standalone.settings import StandaloneSettings

ROOT = Path(__file__).resolve().parents[1]
BOTH = ("lite_image", "yolox_nano")
FLIP = Augmentation(flip=True)
WAYS = (
    Way("single", DetectOptions(models=BOTH[:1])),
    Way("single, the other model", DetectOptions(models=BOTH[1:])),
    Way("TTA (flip)", DetectOptions(models=BOTH[:1], augmentation=FLIP)),
    Way("TTA (flip, 0.75)", DetectOptions(models=BOTH[:1], augmentation=Augmentation(True, (0.75,)))),
    Way("WBF of both", DetectOptions(models=BOTH)),
    Way("WBF of both, TTA (flip)", DetectOptions(models=BOTH, augmentation=FLIP)),
)


async def measured(own_models: Path) -> list[Measured]:
    boxes = shared("data", "coco_boxes")
    truth = Truth(boxes / "instances.json", boxes / "images")
    found = []
    async with open_detector(StandaloneSettings(own_models_dir=own_models)) as detector:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for way in WAYS:
                task = progress.add_task(way.name, total=len(truth.images))
                found.append(await truth.measure(detector, way, partial(progress.advance, task)))
    return found


def report(found: list[Measured]) -> Table:
    single = found[0]
    recall = single.total.at(0.25).recall or 0.0
    table = Table("run", "models", "AP", "AP50", "AR@100", f"precision at recall {recall:.2f}", "ms an image", "times")
    for way in found:
        precision = way.total.precision_at_recall(recall)
        table.add_row(
            way.way.name,
            way.model,
            *(f"{value:.3f}" for value in (way.ap, way.ap50, way.ar)),
            "never" if precision is None else f"{precision:.3f}",
            f"{way.seconds_per_image * 1000:.0f}",
            f"{way.seconds_per_image / single.seconds_per_image:.1f}",
        )
    return table


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))  # whose recipe writes the second model's folder
    with tempfile.TemporaryDirectory() as folder:
        importlib.import_module("support.yolox").yolox_folder(Path(folder))
        Console(width=140).print(report(asyncio.run(measured(Path(folder)))))


if __name__ == "__main__":
    main()
