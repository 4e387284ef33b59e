"""Resident memory of `kindred dataset build` on many images (seeded variants of real photos).

The gallery is filled directly: files, thumbnails, catalogue rows and labels are real, embeddings are such as variants
of one photo have among each other (a vector a photo, and some noise), so that near copies are as many and as near as in
a gallery of variants; nothing is run through a model. The command runs as a process of its own, all services in it, as
a user starts it; its resident set is sampled. Every image file is copied into the zip.
"""

import argparse
import asyncio
import hashlib
import io
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from sqlalchemy import Connection, insert

from benchmarks.gallery import shared
from benchmarks.memory import sample
from benchmarks.variants import variant
from kindred.embedder.v1 import embedder_pb2
from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import reference_key
from kindred_kit.adapters.sql import writing
from kindred_kit.telemetry import configure_logging
from kindred_search.catalogue import rows, tables
from kindred_search.catalogue.collections import ensure_collection
from kindred_search.domain import WHOLE, Claim, Detection, Rights, State, Visibility
from kindred_standalone.compose import Adapters
from kindred_standalone.connect import LOCAL, Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.settings import StandaloneSettings

GOAL_MB = 1000
NOISE = 0.01
"""Of the entries of the noise vector: variants of one photo have cosines of about .93."""
CLASSES = {"person": 0, "bicycle": 1, "car": 2, "dog": 16, "chair": 56}
THUMB_PX = 320
_BATCH = 1_000


@dataclass(frozen=True)
class Made:
    """A variant on the disk. `photo`: number of the photo that it was made from."""

    image_id: str
    path: Path
    byte_size: int
    width: int
    height: int
    photo: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--collapse", action="store_true", help="leave near copies out, as is usual")
    parser.add_argument("--diversity", type=float, default=0.0)
    options = parser.parse_args()
    configure_logging(level="error")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = sorted(shared("data", "coco_captioned", "images").glob("*.jpg"))
        console.print(f"writing {options.images:,} variants of {len(photos):,} photos")
        made = write_variants(photos, options.images, folder)
        console.print("filling the catalogue and the index")
        asyncio.run(fill(folder / "data", made, len(photos)))
        command = [sys.executable, "-m", "kindred_standalone", "--data-dir", str(folder / "data"), "dataset", "build"]
        command += ["--query", "a photo", "--size", str(options.images), "-o", str(folder / "out.zip"), "--json"]
        command += ["--diversity", str(options.diversity), *([] if options.collapse else ["--keep-duplicates"])]
        console.print("building the data set")
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        samples = sample(process)
        stdout, _ = process.communicate()
        seconds = time.monotonic() - started
        if process.returncode:
            sys.exit(process.returncode)
        report(json.loads(stdout), folder / "out.zip", samples, seconds, options.images, collapse=options.collapse)


def report(
    dataset: dict[str, Any], archive: Path, samples: Sequence[float], seconds: float, wanted: int, *, collapse: bool
) -> None:
    with zipfile.ZipFile(archive) as packed:
        copied = sum(1 for name in packed.namelist() if name.endswith(".jpg"))
    print(
        f"{dataset['images']:,} images, {dataset['boxes']:,} boxes, {copied:,} files in a zip of "
        f"{archive.stat().st_size / 1e6:,.0f} MB, in {seconds:.0f} s"
    )
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        at = samples[min(len(samples) - 1, int(share * len(samples)))]
        print(f"  resident after {share:>4.0%} of the time: {at:7.0f} MB")
    peak = max(samples)
    print(f"peak {peak:.0f} MB, goal under {GOAL_MB} MB: {'met' if peak < GOAL_MB else 'missed'}")
    sys.exit(copied != dataset["images"] or (not collapse and copied != wanted))


def write_variants(photos: Sequence[Path], count: int, folder: Path) -> list[Made]:
    (folder / "photos").mkdir()
    with Pool() as pool:
        jobs = ((photos[number % len(photos)], number % len(photos), number, folder) for number in range(count))
        return list(pool.imap(_write_variant, jobs, chunksize=50))


def _write_variant(job: tuple[Path, int, int, Path]) -> Made:
    photo, photo_number, number, folder = job
    data = variant(photo, random.Random(number))
    image_id = hashlib.sha256(data).hexdigest()
    path = folder / "photos" / f"{number:06d}.jpg"
    path.write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        image.thumbnail((THUMB_PX, THUMB_PX))
        thumb = folder / "data" / "blobs" / thumb_key(image_id)
        thumb.parent.mkdir(parents=True, exist_ok=True)
        image.save(thumb, "JPEG", quality=80)
    return Made(image_id, path, len(data), width, height, photo_number)


def thumb_key(image_id: str) -> str:
    return f"thumbs/{image_id[:2]}/{image_id}.jpg"


async def fill(data_dir: Path, made: Sequence[Made], photos: int) -> None:
    """Put the images into the catalogue, and wait until the index has them all."""
    (data_dir / "kindred.lock").touch()  # the directory is ours, though there are files in it
    held: list[Adapters] = []

    def keep(adapters: Adapters) -> Adapters:
        held.append(adapters)
        return adapters

    async with Session.of(DataDirectory.at(data_dir), StandaloneSettings(), command="benchmark", wrap=keep) as session:
        info = await session.node.embedder.GetInfo(embedder_pb2.GetInfoRequest())
        with writing(held[0].engine) as connection:
            ensure_collection(connection, info.space, WHOLE, info.dimension)
            insert_images(connection, made, photos, info.space, info.dimension)
        while True:
            status = await session.node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL), timeout=120)
            if status.indexed == len(made):
                return
            await asyncio.sleep(1)


def insert_images(connection: Connection, made: Sequence[Made], photos: int, space: str, dimension: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((photos, dimension)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    claim = Claim(Rights(license="by", creator="somebody"), Visibility.PUBLIC, "", "variant.jpg")
    model = {"model_name": "lite_image", "model_version": "1"}
    for start in range(0, len(made), _BATCH):
        part = made[start : start + _BATCH]
        vectors = centres[[image.photo for image in part]]
        vectors = vectors + rng.standard_normal(vectors.shape).astype(np.float32) * NOISE
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        connection.execute(insert(tables.images), [image_row(image) for image in part])
        connection.execute(insert(tables.claims), [rows.claim_values("local", i.image_id, claim, 1) for i in part])
        connection.execute(
            insert(tables.embeddings),
            [
                {"image_id": i.image_id, "view": WHOLE, "space": space, "vector": rows.encode_vector(v), **model}
                for i, v in zip(part, vectors, strict=True)
            ],
        )
        found = [rows.detection_values(i.image_id, n, box) for i in part for n, box in enumerate(boxes(rng))]
        connection.execute(insert(tables.detections), found)


def image_row(image: Made) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "seq": 1,
        "incarnation": 1,
        "byte_size": image.byte_size,
        "mtime_ns": image.path.stat().st_mtime_ns,
        "width": image.width,
        "height": image.height,
        "format": "jpeg",
        "origin": "photo",
        "taken_at": "",
        "blob_key": reference_key(image.path),
        "thumb_key": thumb_key(image.image_id),
        "row_version": 1,
        "indexed_version": 0,
        "state": int(State.DERIVED),
        "created_at_ms": 1,
    }


def boxes(rng: np.random.Generator) -> Iterator[Detection]:
    """Two to nine boxes, about as many as the lite detector finds on these photos."""
    for _ in range(int(rng.integers(2, 10))):
        name = str(rng.choice(list(CLASSES)))
        x, y = (float(value) for value in rng.uniform(0, 0.6, 2))
        score = float(rng.uniform(0.3, 1))
        box = (x, y, x + 0.3, y + 0.3)
        yield Detection("coco-80", "lite_image", "1", CLASSES[name], name, score, box, "single", 1)


if __name__ == "__main__":
    main()
