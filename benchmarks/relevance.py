"""Does the search find what it should? Text to image, near copies, and the detector's AP.

Everything goes through the real path: the indexer, the four services over gRPC, the vector store, the HTTP API.
Data: ../shared/data. 2,464 of its 3,058 photos show people, so the figures are those of a biased set.
"""

import argparse
import asyncio
import io
import json
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.gallery import image_id, index, open_gallery, shared
from benchmarks.near_copies import KINDS

GOALS = {"R@1": 29.0, "R@5": 63.0, "R@10": 78.0, "near copy": 97, "AP50": 0.50}
_DEPTH = 100  # the longest page; a median rank beyond it would be shown as 101
_PARALLEL = 4

T = TypeVar("T")
R = TypeVar("R")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--copies", type=int, default=100, help="photos of which near copies are searched (100)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console = Console(stderr=True)
    captioned = shared("data", "coco_captioned")
    photos = sorted((captioned / "images").glob("*.jpg"))
    holdout = set((captioned / "holdout.txt").read_text().split())
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with open_gallery(Path(folder)) as session:
            http = session.node.http
            console.print(f"indexing the {len(holdout)} photos of the hold-out")
            await index(session, [photo for photo in photos if photo.name in holdout])
            console.print("text to image")
            results["text_to_image"] = await text_to_image(http, captioned, holdout)
            console.print(f"indexing the other {len(photos) - len(holdout)} photos")
            await index(session, photos)
            console.print("near copies")
            results["near_copies"] = await near_copies(http, photos, options.copies, options.seed)
            console.print("detector")
            results["detector"] = await detector(http, shared("data", "coco_boxes"))
    print(json.dumps(results, indent=2)) if options.json else show(results)


async def text_to_image(http: httpx.AsyncClient, captioned: Path, holdout: set[str]) -> dict[str, float]:
    """Recall of each caption's own photo among the hold-out, in percent, and the median rank."""
    document = json.loads((captioned / "captions.json").read_text())
    names = {image["id"]: image["file_name"] for image in document["images"] if image["file_name"] in holdout}
    ids = {name: image_id(captioned / "images" / name) for name in holdout}
    pairs = [
        (a["caption"].strip(), ids[names[a["image_id"]]]) for a in document["annotations"] if a["image_id"] in names
    ]

    async def rank(pair: tuple[str, str]) -> int:
        answer = await http.get("/v1/search", params={"q": pair[0], "limit": _DEPTH})
        found = [hit["id"] for hit in answer.raise_for_status().json()["results"]]
        return found.index(pair[1]) + 1 if pair[1] in found else _DEPTH + 1

    ranks = await side_by_side(rank, pairs)
    recall = {f"R@{k}": 100 * sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)}
    return {**recall, "median rank": statistics.median(ranks), "captions": len(ranks), "photos": len(holdout)}


async def near_copies(http: httpx.AsyncClient, photos: Sequence[Path], count: int, seed: int) -> dict[str, int]:
    """Of `count` seeded photos: how many copies of each kind find their original at rank 1 among all photos."""
    rng = random.Random(seed)
    chosen = rng.sample(list(photos), count)
    found = {}
    for kind, copy in KINDS.items():
        copies = [(copy(Image.open(photo).convert("RGB"), rng), image_id(photo)) for photo in chosen]
        found[kind] = sum(await side_by_side(lambda pair: _is_first(http, *pair), copies))
    return {**found, "of": count, "gallery": len(photos)}


async def _is_first(http: httpx.AsyncClient, data: bytes, original: str) -> bool:
    form = {"request": json.dumps({"limit": 1})}
    answer = await http.post("/v1/search", files={"file": ("copy.jpg", data, "image/jpeg")}, data=form)
    return bool(answer.raise_for_status().json()["results"][0]["id"] == original)


async def detector(http: httpx.AsyncClient, boxes: Path) -> dict[str, float]:
    """COCO AP and AP50 of POST /v1/detect, by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        truth = COCO(str(boxes / "instances.json"))
    category = {entry["name"]: entry["id"] for entry in truth.dataset["categories"]}

    async def detect(image: dict[str, Any]) -> list[dict[str, Any]]:
        data = (boxes / "images" / image["file_name"]).read_bytes()
        form = {"request": json.dumps({"score_threshold": 0})}
        answer = await http.post("/v1/detect", files={"file": ("photo.jpg", data, "image/jpeg")}, data=form)
        labels = answer.raise_for_status().json()["labels"]
        return [
            {"image_id": image["id"], "category_id": category[d["class"]], "bbox": d["bbox"], "score": d["score"]}
            for d in labels
        ]

    images = truth.dataset["images"]
    found = [detection for detections in await side_by_side(detect, images) for detection in detections]
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, recall = evaluation.stats[0], evaluation.stats[1], evaluation.stats[8]
    return {"AP": float(ap), "AP50": float(ap50), "AR@100": float(recall), "photos": len(images)}


async def side_by_side(work: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    """Do the work for all items, a few at once, in order."""
    slots = asyncio.Semaphore(_PARALLEL)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    return await asyncio.gather(*(one(item) for item in items))


def show(results: dict[str, Any]) -> None:
    """Print a table: measured beside the goal."""
    table = Table(title="Relevance of the lite profile", title_justify="left")
    for heading in ("what", "measured", "goal", ""):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    text = results["text_to_image"]
    for key in ("R@1", "R@5", "R@10"):
        _row(table, f"text to image {key} (%)", text[key], GOALS[key], "{:.1f}")
    table.add_row("text to image median rank", f"{text['median rank']:.0f}", "", "")
    copies = results["near_copies"]
    for kind in KINDS:
        _row(table, f"near copy: {kind}", copies[kind] * 100 / copies["of"], GOALS["near copy"], "{:.0f}")
    _row(table, "detector AP50", results["detector"]["AP50"], GOALS["AP50"], "{:.3f}")
    table.add_row("detector AP", f"{results['detector']['AP']:.3f}", "", "")
    Console().print(table)


def _row(table: Table, what: str, measured: float, goal: float, form: str) -> None:
    verdict = "[green]met[/]" if measured >= goal else "[red]missed[/]"
    table.add_row(what, form.format(measured), f"≥ {form.format(goal)}", verdict)


if __name__ == "__main__":
    asyncio.run(main())
