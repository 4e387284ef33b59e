"""Measures the built models: python -m tools.build_lite_models.evaluate --help. Prints one JSON object."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import boxes_eval
from .dataset import CaptionedPhotos
from .extract import inputs, run_all
from .graph import session
from .images import read
from .text import SentenceEncoder
from .views import NEAR_COPY_KINDS, View

RANKS = (1, 5, 10)
NEAR_COPY_PHOTOS = 100
SPEED_RUNS = 30

Floats = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(prog="build_lite_models.evaluate", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("triton_models"))
    parser.add_argument("--data", type=Path, required=True, help="captioned photos")
    parser.add_argument("--boxes", type=Path, required=True, help="photos with boxes: images/, instances.json")
    options = parser.parse_args()
    image = options.models / "lite_image/1/model.onnx"
    photos = CaptionedPhotos.load(options.data)
    originals = [View(path) for path in photos.paths(photos.everything)]
    gallery = stored(run_all(image, originals, ["embedding"])["embedding"])
    report = {
        "milliseconds_one_thread": speed(image, originals[0].path),
        "text_to_image_percent": text_to_image(options.models, photos, gallery),
        "near_copies_at_rank_1": near_copies(image, photos, gallery),
        "detector": boxes_eval.measure(image, options.boxes),
    }
    print(json.dumps(report, indent=2))


def stored(embeddings: Floats) -> Floats:
    """As the catalogue keeps them: through float16 and back."""
    return embeddings.astype(np.float16).astype(np.float32)


def text_to_image(models: Path, photos: CaptionedPhotos, gallery: Floats) -> dict[str, float]:
    """Recall of the one photo of each holdout caption, against the holdout and against all photos."""
    encode = SentenceEncoder(models / "lite_text/1/model.onnx", models / "lite_text/tokenizer.json")
    texts, owner = photos.captions_of(photos.holdout)
    queries = encode(texts)
    row_of = {name: row for row, name in enumerate(photos.everything)}
    rows = np.array([row_of[name] for name in photos.holdout])
    result: dict[str, float] = {}
    for name, images, right in (("holdout", gallery[rows], owner), ("all_photos", gallery, rows[owner])):
        scores = queries @ images.T
        better = (scores > scores[np.arange(len(right)), right][:, None]).sum(1)
        result |= {f"{name}_r@{rank}": round(100 * float((better < rank).mean()), 2) for rank in RANKS}
    return result


def near_copies(image: Path, photos: CaptionedPhotos, gallery: Floats, seed: int = 0) -> dict[str, int]:
    """Of 100 seeded photos, how many altered copies find their original first among all photos."""
    chosen = np.random.default_rng(seed).permutation(len(photos.everything))[:NEAR_COPY_PHOTOS]
    paths = photos.paths([photos.everything[i] for i in chosen])
    found: dict[str, int] = {}
    for kind in NEAR_COPY_KINDS:
        copies = stored(run_all(image, [View(path, kind) for path in paths], ["embedding"])["embedding"])
        found[kind] = int(((copies @ gallery.T).argmax(1) == chosen).sum())
    return found


def speed(image: Path, photo: Path) -> dict[str, float]:
    """The whole graph for one photo, pixels already resized; and the resizing."""
    runner = session(image, threads=1)
    pixels = read(photo)
    feed: dict[str, Any] = dict(inputs(pixels))
    times, resizes = [], []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        inputs(pixels)
        middle = time.perf_counter()
        runner.run(None, feed)
        times.append(time.perf_counter() - middle)
        resizes.append(middle - start)
    return {
        "model_median": _ms(np.median(times)),
        "model_fastest": _ms(min(times)),
        "resize_median": _ms(np.median(resizes)),
    }


def _ms(seconds: Any) -> float:
    return round(1000 * float(seconds), 1)


if __name__ == "__main__":
    main()
