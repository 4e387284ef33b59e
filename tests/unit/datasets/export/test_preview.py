"""The contact sheet of a data set."""

from html.parser import HTMLParser

from support.dataset_items import Shelf, a_label
from support.photos import noise_jpeg

from kindred_datasets.export.manifest import Counts
from kindred_datasets.export.preview import Preview, small

HOSTILE = "\"><script>alert(1)</script>'&{{ 7*7 }}"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


async def a_page(images: int = 3, **facts: object) -> str:
    shelf, counts, preview = Shelf(), Counts(), Preview(images)
    for number in range(images):
        labels = [a_label(HOSTILE), a_label("cat")] if number else []
        item = await shelf.add(noise_jpeg(number % 5), labels, split="val" if number == 2 else "train")
        counts.add(item, changed=False)
        if preview.wants(number):
            preview.add(item, f"{number}.jpg", small(noise_jpeg(number % 5)))
    return preview.render(HOSTILE, "coco", ["cat", HOSTILE], counts, facts)


async def test_nothing_hostile_and_nothing_from_elsewhere() -> None:
    page = await a_page(query=HOSTILE)
    tags = Tags(page).tags
    assert not [tag for tag, _ in tags if tag in {"script", "img", "link", "iframe"}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    sources = [value for _, attributes in tags for key, value in attributes.items() if key in {"href", "src"}]
    assert len(sources) == 3
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "default-src 'none'" in page
    assert "{{ 7*7 }}" in page


async def test_splits_classes_and_alternative_texts() -> None:
    page = await a_page()
    assert "2 of 2 images" in page
    assert "1 of 1 images" in page
    assert page.index("Training") < page.index("1.jpg") < page.index("Validation") < page.index("2.jpg")
    alts = [attributes["aria-label"] for tag, attributes in Tags(page).tags if tag == "svg"]
    assert alts == ["0.jpg: no box", f"1.jpg: {HOSTILE}, cat", f"2.jpg: {HOSTILE}, cat"]
    assert "CC BY (3)" in page


def test_a_sample_of_many_is_spread_over_all() -> None:
    shown = [number for number in range(20_000) if Preview(20_000).wants(number)]
    assert len(shown) == 200
    assert (shown[0], shown[-1]) == (0, 19_900)
    assert all(Preview(200).wants(number) for number in range(200))
    assert sum(Preview(201).wants(number) for number in range(201)) == 101


async def test_a_long_list_of_ids_does_not_fill_the_page() -> None:
    page = await a_page(ids=["ab" * 32] * 20_000)
    assert len(page) < 60_000
    assert "manifest.json has all of it" in page


async def test_no_validation_says_so() -> None:
    assert "No image is kept for validation." in await a_page(images=1)
