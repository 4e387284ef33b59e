"""Write config.pbtxt of every model folder from its model.yaml. `--check` only compares: a test does."""

import argparse
import sys
from pathlib import Path

from kindred_kit.models import ModelSet
from kindred_kit.triton import config_pbtxt

REPOSITORY = Path(__file__).resolve().parents[1] / "triton_models"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file would change")
    check = parser.parse_args().check
    stale = []
    for model in ModelSet.load(REPOSITORY):
        path, text = model.folder / "config.pbtxt", config_pbtxt(model)
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not check:
                path.write_text(text)
    for path in stale:
        print(f"{path} {'is not what its model.yaml says: make triton-configs' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
