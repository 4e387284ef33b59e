"""The leak guard on real photos with the committed model: its goals, on few photos. KINDRED_LONG=1 takes them all.

make bench-leak-guard prints the figures.
"""

import os

import pytest
from rich.console import Console
from rich.progress import Progress
from support.paths import shared

from benchmarks.leak_guard import COPIES, GOALS, Count, guard, see

LONG = bool(os.environ.get("KINDRED_LONG"))
HOLDOUT, OTHERS, HARD_PAIRS = (500, 2_558, 2_000) if LONG else (10, 40, 100)
CONSECUTIVE = ("000000084492.jpg", "000000426203.jpg", "000000451435.jpg", "000000562581.jpg")
"""Two pairs of shots of one moment each: the hardest negatives there are."""


@pytest.mark.timeout(3600 if LONG else 300)
async def test_copies_of_the_holdout_go_and_other_photos_stay() -> None:
    captioned = shared("data", "coco_captioned")
    names = set((captioned / "holdout.txt").read_text().split()) - set(CONSECUTIVE)
    photos = sorted((captioned / "images").glob("*.jpg"))
    holdout = [photo for photo in photos if photo.name in {*names, *CONSECUTIVE[::2]}][-HOLDOUT:]
    holdout += [photo for photo in photos if photo.name in CONSECUTIVE[::2] and photo not in holdout]
    protected = {photo.name for photo in holdout}
    others = [photo for photo in photos if photo.name in CONSECUTIVE[1::2]]
    others += [photo for photo in photos if photo.name not in {*protected, *names}][:OTHERS]
    quiet = Progress(console=Console(quiet=True))
    result = guard(await see(holdout, others, 0, quiet), quiet, HARD_PAIRS)
    total = Count(sum(count.removed for count in result.copies.values()), len(holdout) * len(COPIES))
    assert total.percent >= GOALS["copies"], result.copies
    assert result.others.percent < GOALS["others"], result.wrong
    assert result.hard.percent < GOALS["others"], result.wrong
    if LONG:
        assert min(count.percent for count in result.copies.values()) >= GOALS["copies"], result.copies
