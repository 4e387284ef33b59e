"""Generate the Python stubs of proto/ into proto/stubs/; `--check` fails when the committed ones are stale.

Usage: python tools/generate_stubs.py [--check]
"""

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
STUBS = PROTO / "stubs"


def generate(out: Path) -> list[Path]:
    """Write the stubs under `out` and return their paths relative to it."""
    sources = sorted(str(path.relative_to(PROTO)) for path in (PROTO / "kindred").rglob("*.proto"))
    code = protoc.main(
        [
            "protoc",
            f"-I{PROTO}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *sources,
        ]
    )
    if code != 0:
        raise SystemExit(code)
    written = sorted(path for path in out.rglob("*") if path.suffix in {".py", ".pyi"})
    packages = {folder for path in written for folder in path.relative_to(out).parents if folder != Path(".")}
    for package in packages:
        if package != Path("kindred"):  # `kindred` itself stays a namespace package
            (out / package / "__init__.py").touch()
    return sorted(path.relative_to(out) for path in out.rglob("*.py*"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed stubs instead of writing them")
    check = parser.parse_args().check
    if not check:
        STUBS.mkdir(exist_ok=True)
        generate(STUBS)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        stale = [path for path in generate(Path(folder)) if not _same(Path(folder) / path, STUBS / path)]
    for path in stale:
        print(f"stale stub: {path} (run `make proto`)", file=sys.stderr)
    return 1 if stale else 0


def _same(fresh: Path, committed: Path) -> bool:
    return committed.is_file() and filecmp.cmp(fresh, committed, shallow=False)


if __name__ == "__main__":
    sys.exit(main())
