"""Five photos on which a model fails: how many of the photos that Kindred returns are of their kind?

A theme is an object in a context (a person at a beach, a train at a station), told by words in the captions of
../shared/data/coco_captioned: a photo is of a theme if two or more of its five captions name the object and two or more
the context. Our own labels have no part in that. In each draw a few photos of a theme are the failure set, the others
are hidden in the gallery of all 3,058 photos, and as many photos are asked for as are hidden. The answers come from the
data set service (the job, the quota per seed, the guard, the export: what was exported is what counts). Beside it, from
the same gallery: photos at random, and photos at random among those which carry the object's label.

Precision: the share of what was returned that is of the theme. Spread: the mean cosine distance between two of the
photos returned. Intervals: 95 %, bootstrap over themes, then over the draws within each.
"""

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gallery import image_id, index, shared
from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_kit.telemetry import configure_logging
from kindred_standalone.compose import Adapters
from kindred_standalone.connect import LOCAL, Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.settings import StandaloneSettings

MANY = 2
"""Captions of a photo's five that must name a thing for it to count: one alone is often a slip."""
RESAMPLES = 2_000


@dataclass(frozen=True)
class Theme:
    """Words as regular expressions; `label`: the class that the detector would give the object."""

    name: str
    object: str
    context: str
    label: str


THEMES = (
    Theme("a tennis match on a court", "tennis", "court", "tennis racket"),
    Theme("people at a beach", "man|woman|person|people|girl|boy|men|women", "beach|shore", "person"),
    Theme("a baseball game on a field", "baseball|batter|bat", "field|game", "baseball bat"),
    Theme("a surfer on a wave", "surfers?|surfing|surfboards?", "waves?|ocean", "surfboard"),
    Theme("a skier on a slope", "skiers?|skiing|skis?", "slopes?|mountains?|hill", "skis"),
    Theme("a bus in a street", "bus|buses", "street|road", "bus"),
    Theme("kites over a beach or field", "kites?", "beach|sky|field", "kite"),
    Theme("a pizza on a table", "pizza", "table|plate|pan", "pizza"),
    Theme("a boat on the water", "boats?", "water|river|lake|ocean", "boat"),
    Theme("a skateboard in a park", r"skateboard\w*", "park|ramp", "skateboard"),
    Theme("people in a kitchen", "man|woman|person|people|chef|cook", "kitchen", "person"),
    Theme("a laptop on a desk or bed", "laptops?", "desk|bed|couch|table", "laptop"),
    Theme("a train at a station", "trains?", "station|platform", "train"),
    Theme("a snowboarder on snow", r"snowboard\w*", "snow|slope|mountain|air", "snowboard"),
    Theme("a motorcycle on a road", "motorcycles?|motorbikes?", "road|street", "motorcycle"),
    Theme("a frisbee over grass", "frisbee", "grass|field|park", "frisbee"),
    Theme("a bicycle in a street", "bikes?|bicycles?", "street|road", "bicycle"),
    Theme("an umbrella in a wet street", "umbrellas?", "rain|street|wet", "umbrella"),
)

Draws = Mapping[str, Sequence[float]]
"""Theme -> one figure a draw."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="photos in a failure set (5)")
    parser.add_argument("--draws", type=int, default=4, help="failure sets a theme (4)")
    parser.add_argument("--diversity", type=float, default=0.5, help="of the diverse run (0.5)")
    parser.add_argument("--themes", type=int, default=len(THEMES), help="only the first of them")
    parser.add_argument("--gallery", type=Path, help="keep the indexed gallery here for another run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    configure_logging(level="error")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.gallery or Path(temporary) / "gallery"
        figures = await measure(folder, THEMES[: options.themes], options.seeds, options.draws, options.diversity)
    print(json.dumps(figures, indent=2)) if options.json else show(figures)


async def measure(
    folder: Path, themes: Sequence[Theme], seed_count: int, draw_count: int, diversity: float
) -> dict[str, Any]:
    """All draws of all themes, each with every way of choosing; means with their intervals."""
    console, held = Console(stderr=True), []

    def keep(adapters: Adapters) -> Adapters:
        held.append(adapters)
        return adapters

    photos = sorted(shared("data", "coco_captioned", "images").glob("*.jpg"))
    captions = read_captions()
    precision: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    spread: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    async with Session.of(DataDirectory.at(folder), StandaloneSettings(), command="benchmark", wrap=keep) as session:
        console.print(f"indexing {len(photos):,} photos")
        await index(session, photos)
        gallery = Gallery(session, held[0], {photo.name: image_id(photo) for photo in photos})
        for number, theme in enumerate(themes):
            members = of_theme(theme, captions)
            labelled = await gallery.labelled(theme.label)
            for draw in range(draw_count):
                rng = np.random.default_rng([number, draw])
                seeds = sorted(rng.choice(sorted(members), seed_count, replace=False).tolist())
                hidden = members - set(seeds)
                ways = {
                    "random": some(set(gallery.ids) - set(seeds), len(hidden), rng),
                    "label only": some(labelled - set(seeds), len(hidden), rng),
                    "failure set": await gallery.failure_set(seeds, len(hidden), 0.0),
                    "failure set, diverse": await gallery.failure_set(seeds, len(hidden), diversity),
                }
                for way, chosen in ways.items():
                    precision[way][theme.name].append(len(chosen & hidden) / len(chosen) if chosen else 0.0)
                    spread[way][theme.name].append(await gallery.spread(chosen))
            console.print(f"  {theme.name}: {len(members)} photos, precision {_mean(precision, theme.name)}")
    return {
        "photos": len(photos),
        "themes": {theme.name: len(of_theme(theme, captions)) for theme in themes},
        "seeds": seed_count,
        "draws": draw_count,
        "diversity": diversity,
        "precision": {way: interval(draws) for way, draws in precision.items()},
        "spread": {way: interval(draws) for way, draws in spread.items()},
        "precision_over_label_only": interval(difference(precision["failure set"], precision["label only"])),
        "precision_of_diversity": interval(difference(precision["failure set, diverse"], precision["failure set"])),
        "spread_of_diversity": interval(difference(spread["failure set, diverse"], spread["failure set"])),
        "by_theme": {
            theme.name: {way: statistics.mean(draws[theme.name]) for way, draws in precision.items()}
            for theme in themes
        },
    }


def read_captions() -> dict[str, list[str]]:
    """File name -> captions in small letters."""
    told = json.loads(shared("data", "coco_captioned", "captions.json").read_text())
    names = {image["id"]: image["file_name"] for image in told["images"]}
    found: dict[str, list[str]] = defaultdict(list)
    for annotation in told["annotations"]:
        found[names[annotation["image_id"]]].append(annotation["caption"].lower())
    return found


def of_theme(theme: Theme, captions: Mapping[str, Sequence[str]]) -> set[str]:
    """File names of its photos."""

    def name_it(words: str) -> Callable[[Sequence[str]], bool]:
        pattern = re.compile(rf"\b({words})\b")
        return lambda lines: sum(bool(pattern.search(line)) for line in lines) >= MANY

    has_object, has_context = name_it(theme.object), name_it(theme.context)
    return {name for name, lines in captions.items() if has_object(lines) and has_context(lines)}


def some(names: set[str], count: int, rng: np.random.Generator) -> set[str]:
    """`count` of them at random, or all."""
    return set(rng.choice(sorted(names), min(count, len(names)), replace=False).tolist()) if names else set()


class Gallery:
    """The indexed photos, by file name."""

    def __init__(self, session: Session, adapters: Adapters, ids: Mapping[str, str]) -> None:
        self._session = session
        self._blobs = adapters.blobs
        self.ids = ids
        self._names = {image_id: name for name, image_id in ids.items()}

    async def labelled(self, class_name: str) -> set[str]:
        """Photos that carry this label, as the filter of a search finds them."""
        request = search_pb2.CollectRequest(principal=LOCAL, limit=len(self.ids))
        request.filter.labels_all.add(class_name=class_name)
        found: set[str] = set()
        async for answer in self._session.node.search.Collect(request):
            found.update(self._names[item.image_id] for item in answer.items)
        return found

    async def failure_set(self, seeds: Sequence[str], size: int, diversity: float) -> set[str]:
        """What the data set service exports for these failure photos."""
        photos = [pb.FailurePhoto(image_id=self.ids[name]) for name in seeds]
        failures = pb.FailureSet(photos=photos)
        spec = pb.DatasetSpec(failures=failures, size=size, diversity=diversity, format=pb.FORMAT_COCO, links=True)
        node = self._session.node.datasets
        dataset = await node.CreateDataset(pb.CreateDatasetRequest(principal=LOCAL, spec=spec))
        while dataset.state not in (pb.DATASET_STATE_DONE, pb.DATASET_STATE_FAILED):
            await asyncio.sleep(0.05)
            dataset = await node.GetDataset(pb.GetDatasetRequest(principal=LOCAL, dataset_id=dataset.dataset_id))
        if dataset.state == pb.DATASET_STATE_FAILED:
            raise SystemExit(f"a data set failed: {dataset.error_code}: {dataset.error_detail}")
        chosen = _names_in(await self._blobs.get(dataset.archive_key))
        await node.DeleteDataset(pb.DeleteDatasetRequest(principal=LOCAL, dataset_id=dataset.dataset_id))
        return chosen

    async def spread(self, names: set[str]) -> float:
        """Mean cosine distance between two of these photos."""
        request = search_pb2.GetEmbeddingsRequest(principal=LOCAL, image_ids=[self.ids[name] for name in sorted(names)])
        answers = [answer async for answer in self._session.node.search.GetEmbeddings(request)]
        vectors = [np.frombuffer(each.vectors, "<f2").reshape(-1, each.dimension) for each in answers if each.dimension]
        if sum(map(len, vectors)) < 2:
            return 0.0
        rows = np.concatenate(vectors).astype(np.float32)
        similarity = rows @ rows.T
        return float(1 - similarity[np.triu_indices(len(similarity), 1)].mean())


def _names_in(archive: bytes) -> set[str]:
    """File names of the photos of a COCO archive."""
    names: set[str] = set()
    with zipfile.ZipFile(BytesIO(archive)) as packed:
        for member in packed.namelist():
            if re.fullmatch(r"annotations/instances_\w+\.json", member):
                names.update(Path(image["file_name"]).name for image in json.loads(packed.read(member))["images"])
    return names


def difference(one: Draws, other: Draws) -> dict[str, list[float]]:
    """Draw by draw."""
    return {theme: [a - b for a, b in zip(one[theme], other[theme], strict=True)] for theme in one}


def interval(draws: Draws) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval: themes are drawn anew, then the draws within each."""
    table = np.array([draws[theme] for theme in draws])
    rng = np.random.default_rng(0)
    themes = rng.integers(len(table), size=(RESAMPLES, len(table), 1))
    within = rng.integers(table.shape[1], size=(RESAMPLES, len(table), table.shape[1]))
    means = table[themes, within].mean(axis=(1, 2))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(table.mean()), float(low), float(high)


def _mean(precision: Mapping[str, Draws], theme: str) -> str:
    return ", ".join(f"{way} {statistics.mean(draws[theme]):.0%}" for way, draws in precision.items())


def show(figures: Mapping[str, Any]) -> None:
    """Print a table: ways of choosing, then what diversity changes."""
    title = f"{figures['seeds']} failure photos, {len(figures['themes'])} themes, {figures['draws']} draws each"
    table = Table(title=title, title_justify="left")
    for heading in ("chosen by", "precision", "95 % interval", "spread", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "chosen by" else "right")
    for way, (mean, low, high) in figures["precision"].items():
        spread, spread_low, spread_high = figures["spread"][way]
        cells = (f"{mean:.1%}", f"{low:.1%} to {high:.1%}", f"{spread:.3f}", f"{spread_low:.3f} to {spread_high:.3f}")
        table.add_row(way, *cells)
    Console().print(table)
    for key, words in (
        ("precision_over_label_only", "precision over label-only choice"),
        ("precision_of_diversity", f"precision by diversity {figures['diversity']}"),
        ("spread_of_diversity", f"spread by diversity {figures['diversity']}"),
    ):
        mean, low, high = figures[key]
        print(f"{words}: {mean:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    asyncio.run(main())
