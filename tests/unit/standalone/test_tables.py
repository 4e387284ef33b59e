"""Tables show hostile names as text, never as markup or control sequences."""

import io
import os
from pathlib import Path

from rich.console import Console, RenderableType

from kindred_standalone.hits import ShownHit
from kindred_standalone.summary import Problem, Summary
from kindred_standalone.tables import failures_table, hits_table, record_table, summary_line


def rendered(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_name_is_neither_markup_nor_control_sequence() -> None:
    name = "[red]x[/] \x1b]0;owned\x07\n.jpg"
    hit = ShownHit(1, 0.25, "ab" * 32, name, Path("/photos") / name, False, 4, 3, ())
    text = rendered(hits_table([hit]))
    assert r"/photos/[red]x[/] \e]0;owned\x07\n.jpg" in text
    assert "\x1b" not in text


def test_a_missing_file_is_marked() -> None:
    hit = ShownHit(1, 0.25, "ab" * 32, "a.jpg", Path("/photos/a.jpg"), True, 4, 3, ())
    assert "/photos/a.jpg (missing)" in rendered(hits_table([hit]))


def test_failures_show_their_reasons_and_the_list_is_bounded() -> None:
    problems = [Problem(f"/p/{n}.jpg".encode(), "image_empty", "the file is empty") for n in range(60)]
    text = rendered(failures_table(problems))
    assert text.count("image_empty") == 50
    assert "and 10 more" in text


def test_names_that_are_not_utf8_show() -> None:
    text = rendered(failures_table([Problem(b"/p/caf\xe9.jpg", "image_empty", "the file is empty")]))
    assert r"/p/caf\xe9.jpg" in text


def test_the_summary_counts() -> None:
    summary = Summary(total=7, indexed=3, known=2, duplicates=1, seconds=2.0)
    summary.failures.append(Problem(b"/x.jpg", "image_empty", "the file is empty"))
    summary.skipped[".txt"] = 4
    line = str(summary_line(summary))
    assert line == (
        "3 indexed, 2 already known, 1 duplicate, 1 failed, 4 skipped that are no images (4 .txt)"
        " in 2.0 s, 1.5 images/s"
    )
    assert summary.done == summary.total


def test_summary_json_is_encodable_for_any_name() -> None:
    summary = Summary(failures=[Problem(os.fsencode("/caf\udce9\n.jpg"), "image_empty", "")])
    assert summary.as_json()["failures"][0]["path"] == r"/caf\xe9\n.jpg"


def test_a_record_shows_line_by_line() -> None:
    record = {
        "id": "ab" * 32,
        "rights": {"license": "by", "creator": "[bold]Ada[/]", "credit": None},
        "labels": [{"class": "dog", "score": 0.9, "bbox": [1.0, 2.0, 3.0, 4.0], "source": "single"}],
    }
    text = rendered(record_table(record, "~/dog.jpg"))
    for line in ("~/dog.jpg", "rights.license", "[bold]Ada[/]", "dog 0.90 at [1, 2, 3, 4] px"):
        assert line in text
    assert "credit" not in text
