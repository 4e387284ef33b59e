"""Goldens that were made just now against those in the repository: python tests/reference/compare.py NEW OLD."""

import json
import sys
from pathlib import Path

import numpy as np

TOLERANCE = 1e-5
"""Between builds of torch; the tests of ours allow 1e-4."""


def main() -> None:
    new, old = (Path(argument) for argument in sys.argv[1:])
    documents = [json.loads((folder / "clip.json").read_text(encoding="utf-8")) for folder in (new, old)]
    differing = [name for name in documents[1] if documents[0].get(name) != documents[1][name]]
    with np.load(new / "embeddings.npz") as ours, np.load(old / "embeddings.npz") as theirs:
        for name in theirs:
            difference = float(np.abs(ours[name] - theirs[name]).max())
            print(f"{name}: {len(theirs[name])} embeddings, largest difference {difference:.1e}")
            if not difference <= TOLERANCE:
                differing.append(name)
    if differing:
        raise SystemExit(f"the reference now answers other {', '.join(differing)} than tests/golden/clip holds")
    print("tokens and weights: the same")


if __name__ == "__main__":
    main()
