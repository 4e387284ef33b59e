"""Tables for a terminal. Every text of a user passes through `printable` before it gets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kindred_standalone.hits import ShownHit, label_words
from kindred_standalone.summary import Problem, Summary
from kindred_standalone.text import count_text, printable, printable_path, shortened

_SHOWN_FAILURES = 50
_SHOWN_FACETS = 15
_RANKED_HITS = 1_000
"""No more are counted."""
_COPIES_COLUMNS = 19
_LEAST_PATH_COLUMNS = 24
_OTHER_COLUMNS = 50
"""What rank, score, most labels and the lines take of a terminal's width."""
_REASON_COLUMNS = 70
"""What the longest code, the lines and a readable detail take."""


def hits_table(hits: Sequence[ShownHit], title: str = "", *, width: int = 200) -> Table:
    """rank, score, file, copies, labels; leading folders give way where `width` columns do not hold the whole path.

    Scores and copies have a column where there are any.
    """
    scored, collapsed = any(hit.score is not None for hit in hits), any(hit.copies for hit in hits)
    room = max(_LEAST_PATH_COLUMNS, width - _OTHER_COLUMNS - (_COPIES_COLUMNS if collapsed else 0))
    table = Table(title=Text(printable(title)) if title else None, title_justify="left", expand=False)
    table.add_column("rank", justify="right")
    if scored:
        table.add_column("score", justify="right")
    table.add_column("file", overflow="fold")
    if collapsed:
        table.add_column("copies", justify="right")
    table.add_column("labels", overflow="fold")
    for hit in hits:
        score = "" if hit.score is None else f"{hit.score:.3f}"
        place = Text(shortened(hit.place, room), style="dim" if hit.missing else "")
        copies = f"+{hit.copies}" if hit.copies else ""
        cells: list[str | Text] = [str(hit.rank), *([score] if scored else []), place, *([copies] if collapsed else [])]
        table.add_row(*cells, Text(label_words(hit.labels)))
    return table


def facets_table(facets: Mapping[str, Any], total: int) -> Table:
    """label, images, share and boxes of the most frequent labels of an answer's `facets`, of `total` hits."""
    over = facets["over"]
    which = "all" if over == total < _RANKED_HITS else "the first"
    several_sets = len({count["label_set"] for count in facets["labels"]}) > 1
    table = Table(title=f"Labels in {which} {count_text(over, 'hit')}", title_justify="left")
    table.add_column("label", overflow="fold")
    for name in ("images", "share", "boxes"):
        table.add_column(name, justify="right")
    for count in facets["labels"][:_SHOWN_FACETS]:
        name = f"{count['class']} ({count['label_set']})" if several_sets else count["class"]
        share = f"{count['images'] / over:.0%}"
        table.add_row(Text(printable(name)), f"{count['images']:,}", share, f"{count['boxes']:,}")
    if len(facets["labels"]) > _SHOWN_FACETS:
        table.add_row(f"… and {len(facets['labels']) - _SHOWN_FACETS} more", "", "", "")
    return table


def failures_table(failures: Sequence[Problem], wanted: str = "indexed", *, width: int = 200) -> Table:
    """file, reason; the first fifty."""
    room = max(_LEAST_PATH_COLUMNS, width - _REASON_COLUMNS)
    table = Table(title=f"{count_text(len(failures), 'file')} could not be {wanted}", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("reason")
    table.add_column("detail", overflow="fold")
    for problem in failures[:_SHOWN_FAILURES]:
        table.add_row(
            Text(shortened(printable_path(problem.path), room)), problem.code, Text(printable(problem.detail))
        )
    if len(failures) > _SHOWN_FAILURES:
        table.add_row(f"… and {len(failures) - _SHOWN_FAILURES} more", "", "--json lists all of them")
    return table


def summary_line(summary: Summary) -> Text:
    """`19 indexed, 3 already known, 1 duplicate, 2 failed, 4 skipped (3 .txt, 1 .pdf) in 4.2 s, 4.5 images/s`."""
    skipped = sum(summary.skipped.values())
    parts = [f"{summary.indexed:,} indexed", f"{summary.known:,} already known"]
    if summary.duplicates:
        parts.append(count_text(summary.duplicates, "duplicate"))
    reasons = ", ".join(f"{count:,} {code}" for code, count in summary.reasons.most_common(5))
    parts.append(f"{summary.failed:,} failed" + (f" ({reasons})" if reasons else ""))
    if skipped:
        kinds = ", ".join(
            f"{count} {printable(suffix) or 'without suffix'}" for suffix, count in summary.skipped.most_common(3)
        )
        parts.append(f"{skipped:,} skipped that are no images ({kinds}{', …' if len(summary.skipped) > 3 else ''})")
    rate = f", {summary.indexed / summary.seconds:.1f} images/s" if summary.indexed and summary.seconds else ""
    return Text(f"{', '.join(parts)} in {summary.seconds:.1f} s{rate}")


def record_table(record: dict[str, Any], place: str) -> Table:
    """What the HTTP API says of one image, line by line."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("file", Text(place))
    for name, value in record.items():
        if name == "labels":
            for label in value:
                box = ", ".join(f"{side:.0f}" for side in label["bbox"])
                table.add_row("label", Text(printable(f"{label['class']} {label['score']:.2f} at [{box}] px")))
        elif isinstance(value, dict):
            for inner, text in value.items():
                if text not in (None, ""):
                    table.add_row(f"{name}.{inner}", Text(printable(str(text))))
        elif value not in (None, "", []):
            table.add_row(name, Text(printable(str(value))))
    return table


def facts_table(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, Text(printable(value)))
    return table
