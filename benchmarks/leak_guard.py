"""Does the leak guard find copies of a holdout, and nothing else?

Every photo of ../shared/data/coco_captioned/holdout.txt is the holdout; copies of each, as people make them, lie among
the other photos. What the data set service does then is done here with its own functions: pairs are proposed by the
committed lite model's embeddings and confirmed by comparing pictures, thumbnails on the gallery's side.

Besides the other photos, which share scenes with the holdout, hard negatives are asked for by name: the pairs of
different photos that the model takes to be most alike, consecutive shots of one moment among them.
"""

import argparse
import asyncio
import io
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.embedding import embed, open_embedder
from benchmarks.gallery import shared
from benchmarks.near_copies import KINDS as PLAIN
from benchmarks.near_copies import Copy
from kindred_datasets.copies.near_copies import GUARD_LEAST_COSINE, GUARD_MOST_EACH, pairs_between
from kindred_kit.cores import available_cores
from kindred_kit.imaging import ImageLimits, decode
from kindred_kit.imaging.copies import compare, signature

GOALS = {"copies": 99.0, "others": 0.5}
HARD_PAIRS = 2_000


def cut(image: Image.Image, rng: random.Random, across: float, down: float | None = None) -> Image.Image:
    """A random part: these shares of the sides."""
    width, height = int(image.width * across), int(image.height * (down or across))
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def saved(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def brighter(image: Image.Image) -> Image.Image:
    return image.point(lambda level: min(255, round(level * 1.5)))


COPIES: dict[str, Copy] = {
    **PLAIN,
    "cropped to 80 %": lambda image, rng: saved(cut(image, rng, 0.8)),
    "cropped to 90 %": lambda image, rng: saved(cut(image, rng, 0.9)),
    "cropped to 70 % of the width": lambda image, rng: saved(cut(image, rng, 0.7, 1.0)),
    "darker (60 %)": lambda image, rng: saved(image.point(lambda level: round(level * 0.6))),
    "more contrast (1.5)": lambda image, rng: saved(ImageEnhance.Contrast(image).enhance(1.5)),
    "half as large": lambda image, rng: saved(image.resize((image.width // 2, image.height // 2))),
    "cropped to 70 %, saved again (q20)": lambda image, rng: saved(cut(image, rng, 0.7), 20),
    "the same, flipped": lambda image, rng: saved(ImageOps.mirror(cut(image, rng, 0.7)), 20),
    "cropped to 80 %, brighter by half": lambda image, rng: saved(brighter(cut(image, rng, 0.8))),
}
"""Each side is cut to the share named, at a random place."""


@dataclass(frozen=True)
class Photos:
    """Photos as the guard sees them: `vectors` float32 [n, d], L2-normalised; signatures of their thumbnails."""

    names: Sequence[str]
    vectors: NDArray[np.float32]
    signatures: Sequence[bytes]


@dataclass(frozen=True)
class Count:
    removed: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.removed / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, in percent."""
        z, n, share = 1.96, self.of, self.removed / self.of
        middle, width = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return tuple(100 * (middle + sign * width) / (1 + z * z / n) for sign in (-1, 1))  # type: ignore[return-value]


@dataclass(frozen=True)
class Result:
    copies: Mapping[str, Count]
    others: Count
    hard: Count
    wrong: Sequence[tuple[str, str]]  # different photos taken for copies


@dataclass(frozen=True)
class Seen:
    """`given`: the holdout as it is, not as thumbnails; `copies`: of each kind one a photo of the holdout."""

    given: Photos
    holdout: Photos
    others: Photos
    copies: Mapping[str, Photos]


async def see(holdout: Sequence[Path], others: Sequence[Path], seed: int, progress: Progress) -> Seen:
    """Embed the photos and the copies, and make their thumbnails."""
    task = progress.add_task("embedding", total=len(others) + len(holdout) * (1 + len(COPIES)))

    def advance(_: int) -> None:
        progress.advance(task)

    async with open_embedder() as embedder:

        async def seen(names: Sequence[str], images: Iterable[bytes]) -> Photos:
            vectors, thumbs = await embed(embedder, images, advance)
            return Photos(names, vectors, [signed(thumb) for thumb in thumbs])

        async def photos(paths: Sequence[Path]) -> Photos:
            return await seen([path.name for path in paths], (path.read_bytes() for path in paths))

        names = [path.name for path in holdout]
        protected = await photos(holdout)
        given = Photos(names, protected.vectors, [signed(path.read_bytes()) for path in holdout])
        copies = {kind: await seen(names, made(kind, holdout, seed)) for kind in COPIES}
        return Seen(given, protected, await photos(others), copies)


def guard(seen: Seen, progress: Progress, hard_pairs: int = HARD_PAIRS) -> Result:
    """What is removed of the copies and of the others; how many of the most alike pairs are taken for copies."""
    task = progress.add_task("guarding", total=len(seen.copies) + 2)
    counts = {}
    with ThreadPoolExecutor(available_cores()) as pool:
        for kind, images in seen.copies.items():
            counts[kind] = Count(len({name for name, _ in leaks(images, seen.given, pool)}), len(images.names))
            progress.advance(task)
        wrong = leaks(seen.others, seen.given, pool)
        progress.advance(task)
        names = [*seen.holdout.names, *seen.others.names]
        signatures = [*seen.holdout.signatures, *seen.others.signatures]
        pairs = most_alike(np.concatenate([seen.holdout.vectors, seen.others.vectors]), hard_pairs)
        taken = list(pool.map(lambda pair: compare(*(signatures[row] for row in pair)) is not None, pairs))
        progress.advance(task)
    scenes = [(names[one], names[other]) for (one, other), copy in zip(pairs, taken, strict=True) if copy]
    return Result(
        counts,
        others=Count(len({name for name, _ in wrong}), len(seen.others.names)),
        hard=Count(len(scenes), len(pairs)),
        wrong=sorted({(min(pair), max(pair)) for pair in [*wrong, *scenes]}),
    )


def leaks(images: Photos, protected: Photos, pool: ThreadPoolExecutor) -> list[tuple[str, str]]:
    """Names of the images that the guard removes, each with the photo that it is said to be a copy of."""
    pairs = pairs_between(images.vectors, protected.vectors, GUARD_LEAST_COSINE, GUARD_MOST_EACH)
    found = pool.map(lambda pair: compare(protected.signatures[pair.other], images.signatures[pair.one]), pairs)
    return [
        (images.names[pair.one], protected.names[pair.other])
        for pair, copy in zip(pairs, found, strict=True)
        if copy is not None
    ]


def made(kind: str, paths: Sequence[Path], seed: int) -> Iterator[bytes]:
    """Copies of one kind, by a generator of their own: the kinds do not depend on each other."""
    rng = random.Random(f"{seed} {kind}")
    for path in paths:
        with Image.open(path) as opened:
            yield COPIES[kind](opened.convert("RGB"), rng)


def most_alike(vectors: NDArray[np.float32], count: int) -> list[tuple[int, int]]:
    """The pairs of rows with the highest cosines."""
    cosines = vectors @ vectors.T
    rows, columns = np.triu_indices(len(vectors), 1)
    order = np.argsort(-cosines[rows, columns], kind="stable")[:count]
    return [(int(rows[place]), int(columns[place])) for place in order]


def signed(data: bytes) -> bytes:
    return signature(decode(data, ImageLimits()))


def show(result: Result) -> None:
    """Print a table: measured beside the goal."""
    table = Table(title="Leak guard, lite profile", title_justify="left")
    for heading in ("what", "removed", "of", "%", "95 % interval", "goal", ""):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for kind, count in result.copies.items():
        _row(table, f"copy: {kind}", count, f"≥ {GOALS['copies']:g}", met=count.percent >= GOALS["copies"])
    for what, count in (("other photos", result.others), (f"the {result.hard.of:,} most alike pairs", result.hard)):
        _row(table, what, count, f"< {GOALS['others']:g}", met=count.percent < GOALS["others"])
    console = Console()
    console.print(table)
    for pair in result.wrong:
        console.print("taken for copies:", *pair)


def _row(table: Table, what: str, count: Count, goal: str, *, met: bool) -> None:
    low, high = count.interval
    verdict = "[green]met[/]" if met else "[red]missed[/]"
    table.add_row(
        what, f"{count.removed:,}", f"{count.of:,}", f"{count.percent:.2f}", f"{low:.2f} to {high:.2f}", goal, verdict
    )


def as_json(result: Result) -> dict[str, Any]:
    def told(count: Count) -> dict[str, Any]:
        return {"removed": count.removed, "of": count.of, "percent": count.percent, "interval_95": count.interval}

    return {
        "copies": {kind: told(count) for kind, count in result.copies.items()},
        "other_photos": told(result.others),
        "most_alike_pairs": told(result.hard),
        "taken_for_copies": result.wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--photos", type=int, default=500, help="photos of the holdout (500)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    captioned = shared("data", "coco_captioned")
    names = set((captioned / "holdout.txt").read_text().split())
    photos = sorted((captioned / "images").glob("*.jpg"))
    holdout = [photo for photo in photos if photo.name in names][: options.photos]
    others = [photo for photo in photos if photo.name not in names]
    with Progress(console=Console(stderr=True)) as progress:
        seen = asyncio.run(see(holdout, others, options.seed, progress))
        result = guard(seen, progress)
    print(json.dumps(as_json(result), indent=2)) if options.json else show(result)


if __name__ == "__main__":
    main()
