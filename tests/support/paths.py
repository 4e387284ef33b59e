"""Where things are, seen from a test."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "triton_models"
SHARED = ROOT.parent / "shared"


def shared(*parts: str) -> Path:
    """A path below ../shared; skips the test where it is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(('../shared', *parts))} on this machine")
    return path
