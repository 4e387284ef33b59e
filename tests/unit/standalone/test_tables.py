"""Tables show hostile names as text, never as markup or control sequences."""

import io
import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console, RenderableType

from kindred_standalone.hits import ShownHit
from kindred_standalone.summary import Problem, Summary
from kindred_standalone.tables import facets_table, failures_table, hits_table, record_table, summary_line


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


def test_scores_and_copies_have_a_column_where_there_are_any() -> None:
    hit = ShownHit(1, 0.25, "ab" * 32, "a.jpg", Path("/photos/a.jpg"), False, 4, 3, ())
    plain = rendered(hits_table([hit]))
    assert "0.250" in plain
    assert "copies" not in plain
    assert "score" not in rendered(hits_table([replace(hit, score=None)]))
    collapsed = rendered(hits_table([replace(hit, copies=3), replace(hit, rank=2)]))
    assert "copies" in collapsed
    assert collapsed.count("+3") == 1


def test_facets_say_what_they_were_counted_in() -> None:
    counts = [{"class": f"[b]{n}\x1b", "label_set": "coco-80", "images": 100 - n, "boxes": 1_000} for n in range(20)]
    text = rendered(facets_table({"labels": counts, "over": 200}, 200))
    assert "Labels in all 200 hits" in text
    assert "[b]0\\e" in text
    assert "50%" in text
    assert "1,000" in text
    assert "and 5 more" in text
    assert "coco-80" not in text
    assert "Labels in the first 1,000 hits" in rendered(facets_table({"labels": counts, "over": 1_000}, 1_000))
    mixed = [counts[0], {**counts[0], "label_set": "mine"}]
    assert "(mine)" in rendered(facets_table({"labels": mixed, "over": 200}, 200))


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
    summary.fail(Problem(b"/x.jpg", "image_empty", "the file is empty"))
    summary.skipped[".txt"] = 4
    line = str(summary_line(summary))
    assert line == (
        "3 indexed, 2 already known, 1 duplicate, 1 failed (1 image_empty), 4 skipped that are no images (4 .txt)"
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
