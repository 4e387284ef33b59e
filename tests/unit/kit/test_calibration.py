"""Runs and calibrations: what one writes, the other understands."""

import json
from pathlib import Path

import pytest

from kindred_kit.errors import ModelInvalid
from kindred_kit.models.calibration import Calibration, read_calibration
from kindred_kit.models.runs import Run

KNOWN = Calibration("coco-80", "m/1", {"Dog": {0.5: 0.2, 0.8: 0.4, 0.9: 0.7}, "cat": {}})


@pytest.mark.parametrize(
    ("run", "text", "options"),
    [
        (Run(("m/1",)), "m/1", "--model m"),
        (Run(("m/1",), True), "m/1 flip", "--model m --tta"),
        (
            Run(("a/1", "b/2.0"), True, (0.75, 1.2)),
            "a/1+b/2.0 flip x0.75 x1.2",
            "--ensemble a,b --tta --scales 0.75,1.2",
        ),
    ],
)
def test_a_run_is_read_as_it_was_written(run: Run, text: str, options: str) -> None:
    assert str(run) == text
    assert Run.parse(text) == run
    assert run.options == options


def test_the_threshold_of_the_next_precision_that_was_measured() -> None:
    assert [KNOWN.threshold("dog", precision) for precision in (0.1, 0.5, 0.75, 0.8, 0.9, 0.95)] == [
        0.2, 0.2, 0.4, 0.4, 0.7, None,
    ]  # fmt: skip
    assert KNOWN.threshold("cat", 0.5) is None
    assert (KNOWN.precisions("cat"), KNOWN.precisions("violin")) == ({}, None)


def test_a_file_of_something_else_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    good = {"label_set": "s", "run": "m/1", "precisions": {"dog": {"0.9": 0.5}}}
    path.write_text(json.dumps(good))
    assert read_calibration(path).threshold("dog", 0.9) == 0.5
    for text in ("", "[]", "{}", json.dumps({**good, "precisions": {"dog": {"0.9": 2}}}), '{"precisions": []}'):
        path.write_text(text)
        with pytest.raises(ModelInvalid, match=r"c\.json"):
            read_calibration(path)
