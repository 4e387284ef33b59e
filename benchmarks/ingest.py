"""How close does ingest come to what the cores can do?

The limit is the cores divided by the CPU seconds that the stages of one image need: read + hash + probe, decode +
resize + thumbnail, the model's pass. They run without any service in bare threads, one a core, and each thread's CPU
time is counted: two passes of the model side by side share a memory bus, and cost a few percent more than one pass
alone. What they cost with one thread at work is shown too. End to end is the indexer of `kindred index` on an open
gallery (models loaded), from the first file read to the last image searchable. Both are measured in every round, on
photos that the gallery has not seen; the median of the rounds' ratios decides.

The limit supposes that the cores are all ours. What a shared machine really gives shows in the images/s of the threads.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime
from rich.console import Console
from rich.table import Table

from benchmarks.gallery import ROOT, index, open_gallery, shared
from benchmarks.variants import write_variants
from kindred_kit.cores import available_cores
from kindred_kit.imaging import ImageLimits, decode, thumbnail
from kindred_kit.models import ModelSet, prepare_image
from kindred_standalone.connect import Session
from kindred_standalone.prepare import Labels, file_version, prepare

GOAL = 0.85


@dataclass(frozen=True)
class Round:
    """CPU milliseconds an image by stage while all cores work, the sum while one works alone, and images/s."""

    read_ms: float
    pixels_ms: float
    model_ms: float
    alone_ms: float
    bare_threads_images_s: float
    end_to_end_images_s: float

    @property
    def limit_images_s(self) -> float:
        return available_cores() * 1000 / (self.read_ms + self.pixels_ms + self.model_ms)

    @property
    def ratio(self) -> float:
        return self.end_to_end_images_s / self.limit_images_s

    @property
    def ratio_alone(self) -> float:
        return self.end_to_end_images_s * self.alone_ms / (available_cores() * 1000)

    @property
    def ratio_to_bare(self) -> float:
        return self.end_to_end_images_s / self.bare_threads_images_s


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=480, help="images a round, end to end (480)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    photos = sorted(shared("data", "coco_boxes", "images").glob("*.jpg"))
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages()
        async with open_gallery(Path(folder) / "gallery") as session:
            await index(session, write_variants(photos, 8, Path(folder) / "warm", seed=1000))
            for number in range(options.rounds):
                files = write_variants(photos, options.images, Path(folder) / f"round-{number}", seed=number)
                rounds.append(await measure(session, stages, files))
                Console(stderr=True).print(f"round {number + 1}/{options.rounds}: {rounds[-1].ratio:.1%} of the limit")
    print(json.dumps([{**asdict(r), "ratio": r.ratio} for r in rounds], indent=2)) if options.json else show(rounds)


async def measure(session: Session, stages: "Stages", files: Sequence[Path]) -> Round:
    """One round: all files end to end, and the stages on a sixth of them before and after, as the machine changes."""
    few = files[: len(files) // 6]
    alone_ms = sum(stages.measure(few, threads=1))
    before, bare_before = stages.measure_side_by_side(few)
    started = time.perf_counter()
    await index(session, files)
    end_to_end = len(files) / (time.perf_counter() - started)
    after, bare_after = stages.measure_side_by_side(few)
    read_ms, pixels_ms, model_ms = (statistics.mean(both) for both in zip(before, after, strict=True))
    return Round(read_ms, pixels_ms, model_ms, alone_ms, statistics.mean((bare_before, bare_after)), end_to_end)


class Stages:
    """The stages of one image, called as the services call them."""

    def __init__(self) -> None:
        self._model = ModelSet.load(ROOT / "triton_models").of_kind("lite", "image_pipeline")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(self._model.onnx_path), options)
        self._side_px = max(max(i.width, i.height) for i in self._model.image_inputs)

    def measure(self, files: Sequence[Path], threads: int) -> tuple[float, float, float]:
        """Mean CPU milliseconds an image: read + hash + probe, decode + resize + thumbnail, model."""
        with ThreadPoolExecutor(threads) as pool:
            seconds = list(pool.map(self._seconds, files))
        read_ms, pixels_ms, model_ms = (1000 * statistics.mean(stage) for stage in zip(*seconds, strict=True))
        return read_ms, pixels_ms, model_ms

    def measure_side_by_side(self, files: Sequence[Path]) -> tuple[tuple[float, float, float], float]:
        """`measure` with a thread a core, and the images/s that they reach."""
        started = time.perf_counter()
        milliseconds = self.measure(files, threads=available_cores())
        return milliseconds, len(files) / (time.perf_counter() - started)

    def _seconds(self, file: Path) -> list[float]:
        """CPU seconds of this thread, by stage."""
        marks = [time.thread_time(), *(time.thread_time() for _ in self._steps(file))]
        return [end - start for start, end in itertools.pairwise(marks)]

    def _steps(self, file: Path) -> Iterator[None]:
        """Do one stage after the other."""
        limits, path = ImageLimits(), str(file).encode()
        prepare(path, file_version(path), Labels(), limits)
        yield
        rgb = decode(file.read_bytes(), limits, min_side_px=self._side_px)
        thumbnail(rgb, 320)
        tensors = prepare_image(rgb, self._model.image_inputs).tensors
        yield
        self._session.run(None, tensors)
        yield


def show(rounds: Sequence[Round]) -> None:
    """Print the rounds and the verdict."""
    table = Table(title=f"Ingest on {available_cores()} cores", title_justify="left")
    for heading in (
        "round",
        "read ms",
        "pixels ms",
        "model ms",
        "alone ms",
        "limit img/s",
        "bare threads img/s",
        "end to end img/s",
        "ratio",
    ):
        table.add_column(heading, justify="right")
    for number, r in enumerate(rounds, 1):
        cells = (
            r.read_ms,
            r.pixels_ms,
            r.model_ms,
            r.alone_ms,
            r.limit_images_s,
            r.bare_threads_images_s,
            r.end_to_end_images_s,
        )
        table.add_row(str(number), *(f"{cell:.1f}" for cell in cells), f"{r.ratio:.1%}")
    Console().print(table)
    median = statistics.median(r.ratio for r in rounds)
    bare = statistics.median(r.ratio_to_bare for r in rounds)
    alone = statistics.median(r.ratio_alone for r in rounds)
    print(f"median {bare:.1%} of what bare threads reach in the same round")
    print(f"median {alone:.1%} of the limit by the CPU time that one thread alone needs")
    print(f"median {median:.1%} of the limit, goal {GOAL:.0%}: {'met' if median >= GOAL else 'missed'}")


if __name__ == "__main__":
    asyncio.run(main())
