"""Resident memory of `kindred index` while it indexes many images (seeded variants of real photos).

The command runs as a process of its own, as a user starts it; its resident set (with its children's) is sampled.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.gallery import shared
from benchmarks.variants import write_variants

GOAL_MB = 1500
_SAMPLE_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    console = Console(stderr=True)
    photos = sorted(shared("data", "coco_captioned", "images").glob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        console.print(f"writing {options.images} variants of {len(photos)} photos")
        write_variants(photos, options.images, Path(folder) / "photos")
        command = [sys.executable, "-m", "kindred_standalone", "--data-dir", f"{folder}/data", "index", "--json"]
        started = time.monotonic()
        process = subprocess.Popen([*command, f"{folder}/photos"], stdout=subprocess.PIPE, text=True)
        samples = sample(process)
        stdout, _ = process.communicate()
    summary = json.loads(stdout)
    peak = max(samples)
    seconds = time.monotonic() - started
    print(f"indexed {summary['indexed']} of {options.images} in {seconds:.0f} s, failed {summary['failed']}")
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        at = samples[min(len(samples) - 1, int(share * len(samples)))]
        print(f"  resident after {share:>4.0%} of the time: {at:7.0f} MB")
    print(f"peak {peak:.0f} MB, goal under {GOAL_MB} MB: {'met' if peak < GOAL_MB else 'missed'}")
    sys.exit(summary["indexed"] != options.images)


def sample(process: "subprocess.Popen[str]") -> list[float]:
    """Resident megabytes (10^6) of the process and its children, until it ends."""
    seen = [0.0]
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            everyone = [watched, *watched.children(recursive=True)]
            seen.append(sum(each.memory_info().rss for each in everyone) / 1e6)
        except psutil.NoSuchProcess:
            continue
        time.sleep(_SAMPLE_S)
    return [megabytes for megabytes in seen if megabytes] or [0.0]  # a process that has just ended counts nothing


if __name__ == "__main__":
    main()
