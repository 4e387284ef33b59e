"""The contact sheet: everything escaped, everything inside."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kindred_standalone.hits import ShownHit, ShownLabel, label_words
from kindred_standalone.report import Card, Report, Section, make_card, render, write_report

HOSTILE = "\"><script>alert(1)</script>'&<img src=x onerror=alert(2)>{{ 7*7 }}"


def a_hit(name: str = "dog.jpg", score: float = 0.5, label: str = "dog") -> ShownHit:
    labels = (ShownLabel(label, 0.91, (0.25, 0.5, 0.5, 0.25)),)
    return ShownHit(1, score, "ab" * 32, name, Path("/photos") / "dog.jpg", False, 400, 200, labels)


def a_page(card: Card, title: str = "“dog”") -> str:
    return render(Report("Kindred", "", [("images", "20")], [Section(title, "by text", [card])]))


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_names_queries_and_labels_stay_text() -> None:
    page = a_page(make_card(a_hit(HOSTILE, label=HOSTILE), b"jpeg"), HOSTILE)
    tags = Tags(page).tags
    assert not [tag for tag, _ in tags if tag in {"script", "img"}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"\b49\b", page)


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = a_page(make_card(a_hit(), b"jpeg"))
    sources = [attributes.get("href") or attributes.get("src") for _, attributes in Tags(page).tags]
    assert [source for source in sources if source] == ["data:image/jpeg;base64,anBlZw=="]
    assert "default-src 'none'" in page
    assert "url(" not in page


def test_boxes_are_in_the_pixels_of_the_image() -> None:
    (box,) = make_card(a_hit(), None).frame.boxes
    assert (box.x, box.y, box.w, box.h) == (100, 100, 200, 50)
    assert box.text == box.title == "dog 0.91"


def test_texts_never_lie_on_each_other_nor_outside() -> None:
    labels = tuple(ShownLabel(f"class {n}", 0.9 - n / 100, (0.8, 0.0, 0.1, 0.1)) for n in range(12))
    card = make_card(ShownHit(1, 0.5, "ab" * 32, "x.jpg", None, False, 400, 200, labels), None)
    written = [box for box in card.frame.boxes if box.text]
    assert 1 < len(written) < len(card.frame.boxes) == 12
    baselines = sorted(box.text_y for box in written)
    assert all(lower - upper >= card.frame.font_px for upper, lower in itertools.pairwise(baselines))
    assert all(0 <= box.text_x < 400 and box.text_y <= 200 for box in written)
    assert card.frame.boxes[-1].title == "class 0 0.90"


@pytest.mark.parametrize(("score", "percent"), [(-0.2, 0.0), (0.25, 25.0), (1.2, 100.0)])
def test_the_bar_stays_in_its_track(score: float, percent: float) -> None:
    assert make_card(a_hit(score=score), None).bar_percent == percent


def test_a_class_keeps_its_colour() -> None:
    assert make_card(a_hit(), None).frame.boxes[0].colour == make_card(a_hit("other.jpg"), None).frame.boxes[0].colour


def test_an_empty_search_says_so() -> None:
    assert "Nothing matches." in render(Report("Kindred", "", [], [Section("“x”", "by text")]))


def test_the_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(path, Report("Kindred", "", [], []))
    assert path.read_text("utf-8").endswith("</html>")
    assert list(path.parent.iterdir()) == [path]


def test_label_words_count_and_rank() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    labels = [ShownLabel("person", 0.55, box), ShownLabel("dog", 0.7, box), ShownLabel("dog", 0.91, box)]
    assert label_words(labels) == "2 dog 0.91, person 0.55"
    assert label_words([ShownLabel(f"class {n}", 1 - n / 10, box) for n in range(6)]).endswith("…")
