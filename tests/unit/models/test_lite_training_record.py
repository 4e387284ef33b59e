"""The record of what the lite head was fitted to: permissively licensed photos, nothing held out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
RECORD = json.loads((REPOSITORY / "triton_models/lite_image/training.json").read_text())
PHOTOS = REPOSITORY.parent / "shared/data/coco_captioned"


def test_record_names_both_exclusions() -> None:
    assert RECORD["excluded"] == ["not_permissive.txt", "holdout.txt"]
    assert RECORD["photos"] > 0


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the captioned photos are not beside this checkout")
def test_record_is_exactly_the_permissive_photos_outside_the_holdout() -> None:
    excluded = {name for file in RECORD["excluded"] for name in (PHOTOS / file).read_text().split()}
    names = sorted(path.name for path in (PHOTOS / "images").glob("*.jpg") if path.name not in excluded)
    assert len(names) == RECORD["photos"]
    listing = "".join(f"{name}\n" for name in names)
    assert hashlib.sha256(listing.encode()).hexdigest() == RECORD["sha256_of_sorted_file_names"]
