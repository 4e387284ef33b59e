"""Weights over HTTP from a server that breaks off, lies, forgets and redirects: the pinned file or nothing."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.publisher import Publisher, hub_path, publishing

from kindred_kit.errors import ModelDownloadFailed, ModelFileRefused
from kindred_kit.models import ModelStore, Source
from kindred_kit.models.pulling import ATTEMPTS, pull

DATA = np.random.default_rng(9).integers(0, 256, 3_000_000, np.uint8).tobytes()
REVISION = "0123456789abcdef0123456789abcdef01234567"
SOURCE = Source.of(
    {
        "host": "weights.example",
        "repository": "somebody/model",
        "revision": REVISION,
        "path": "onnx/model.onnx",
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "size_bytes": len(DATA),
    }
)
ROUNDED = Source.of(
    {
        "host": "weights.example",
        "repository": "somebody/model",
        "revision": REVISION,
        "path": "onnx/model.onnx",
        "sha256": SOURCE.sha256,
        "size_mb": 2.9,
    }
)
PATH = hub_path("somebody/model", REVISION, "onnx/model.onnx")
NO_WAIT = timedelta(0)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing(Publisher({PATH: DATA})) as served:
        yield served


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def get(store: ModelStore, publisher: Publisher, source: Source = SOURCE, mirror: str = "") -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    pull(store, source, mirror or publisher.url, lambda done, total: seen.append((done, total)), NO_WAIT)
    return seen


def is_there(store: ModelStore) -> bool:
    return store.source_path(SOURCE).is_file() and store.source_path(SOURCE).read_bytes() == DATA


def left_behind(store: ModelStore) -> list[str]:
    return [path.name for path in (store.root / "sources").iterdir()] if store.root.exists() else []


@pytest.mark.parametrize("source", [SOURCE, ROUNDED], ids=["exact size", "rounded size"])
def test_a_file_is_fetched_once_and_its_progress_told(store: ModelStore, publisher: Publisher, source: Source) -> None:
    seen = get(store, publisher, source)
    assert is_there(store)
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert left_behind(store) == [f"{SOURCE.sha256}.onnx"]
    get(store, publisher, source)
    assert publisher.asked == [(PATH, "")]


@pytest.mark.parametrize("source", [SOURCE, ROUNDED], ids=["exact size", "rounded size"])
def test_a_connection_that_breaks_off_goes_on_where_it_was(
    store: ModelStore, publisher: Publisher, source: Source
) -> None:
    publisher.breaks, publisher.breaks_after = 8, 300_000
    get(store, publisher, source)
    assert is_there(store)
    assert [span for _, span in publisher.asked[1:]] == [f"bytes={300_000 * n}-" for n in range(1, 9)]


def test_a_second_command_goes_on_where_the_first_gave_up(store: ModelStore, publisher: Publisher) -> None:
    with publishing(Publisher({PATH: DATA}, breaks=1_000, breaks_after=1_234_567)) as broken:

        def nothing_more(done: int, total: int) -> None:
            broken.breaks_after = 0

        with pytest.raises(ModelDownloadFailed, match="1,234,567 bytes are kept"):
            pull(store, SOURCE, broken.url, nothing_more, NO_WAIT)
    kept = store.part_path(SOURCE).stat().st_size
    assert kept == 1_234_567
    get(store, publisher)
    assert is_there(store)
    assert publisher.asked == [(PATH, f"bytes={kept}-")]


def test_a_server_without_ranges_starts_anew(store: ModelStore, publisher: Publisher) -> None:
    publisher.breaks, publisher.breaks_after, publisher.ignores_range = 1, 2_000_000, True
    get(store, publisher)
    assert is_there(store)


def test_a_server_that_answers_another_range_is_not_believed(store: ModelStore, publisher: Publisher) -> None:
    publisher.breaks, publisher.breaks_after, publisher.misplaced = 1, 1_000_000, True
    with pytest.raises(ModelDownloadFailed, match="another part"):
        get(store, publisher)
    assert not is_there(store)
    publisher.misplaced = False
    get(store, publisher)
    assert is_there(store)


def flipped(data: bytes) -> bytes:
    return data[:5] + bytes([data[5] ^ 1]) + data[6:]


@pytest.mark.parametrize("source", [SOURCE, ROUNDED], ids=["exact size", "rounded size"])
@pytest.mark.parametrize("change", [flipped, lambda data: data + b"x" * 500_000, lambda data: b"<html>sorry</html>"])
def test_of_another_file_nothing_is_kept(
    store: ModelStore, publisher: Publisher, source: Source, change: Callable[[bytes], bytes]
) -> None:
    publisher.files[PATH] = change(DATA)
    with pytest.raises(ModelFileRefused, match="kept"):
        get(store, publisher, source)
    assert left_behind(store) == []
    publisher.files[PATH] = DATA
    get(store, publisher, source)
    assert is_there(store)


def test_a_server_that_never_stops_is_stopped(store: ModelStore, publisher: Publisher) -> None:
    publisher.files[PATH] = DATA * 5
    publisher.says_no_length = True
    with pytest.raises(ModelFileRefused, match="more than"):
        get(store, publisher)
    assert left_behind(store) == []


def test_what_was_left_of_another_file_is_given_up(store: ModelStore, publisher: Publisher) -> None:
    part = store.part_path(SOURCE)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1_000_000)
    with pytest.raises(ModelFileRefused):
        get(store, publisher)
    assert left_behind(store) == []
    get(store, publisher)
    assert is_there(store)


def test_more_than_there_is_starts_anew(store: ModelStore, publisher: Publisher) -> None:
    part = store.part_path(SOURCE)
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA + b"x")
    get(store, publisher)
    assert is_there(store)


def test_redirects_are_followed_with_the_range_kept(store: ModelStore, publisher: Publisher) -> None:
    publisher.redirects, publisher.redirect_to = 1, f"{publisher.url}/elsewhere?signature=x"
    publisher.files["/elsewhere"] = DATA
    part = store.part_path(SOURCE)
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:1_000])
    get(store, publisher)
    assert is_there(store)
    assert publisher.asked == [(PATH, "bytes=1000-"), ("/elsewhere?signature=x", "bytes=1000-")]


@pytest.mark.parametrize(
    ("target", "said"),
    [("", "redirects more than"), ("file:///etc/passwd", "did not give"), ("http://", "did not give")],
)
def test_redirects_that_lead_nowhere(store: ModelStore, publisher: Publisher, target: str, said: str) -> None:
    publisher.redirects, publisher.redirect_to = 1_000, target
    with pytest.raises(ModelDownloadFailed, match=said):
        get(store, publisher)
    assert left_behind(store) == []


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(store: ModelStore, publisher: Publisher) -> None:
    publisher.statuses = [503, 429]
    get(store, publisher)
    assert is_there(store)
    store.source_path(SOURCE).unlink()
    publisher.asked.clear()
    publisher.files.clear()
    with pytest.raises(ModelDownloadFailed, match=r"does not give onnx/model\.onnx: it answers 404 Not Found"):
        get(store, publisher)
    assert len(publisher.asked) == 1


def test_a_server_that_is_not_there_is_given_up_after_a_while(store: ModelStore, publisher: Publisher) -> None:
    with publishing(Publisher({})) as gone:
        pass
    with pytest.raises(ModelDownloadFailed, match=r"127\.0\.0\.1 did not give model\.onnx"):
        get(store, gone)
    publisher.statuses = [500] * 100
    with pytest.raises(ModelDownloadFailed, match="500"):
        get(store, publisher)
    assert len(publisher.asked) == ATTEMPTS


def test_two_pulls_at_once_fetch_the_file_once(store: ModelStore, publisher: Publisher) -> None:
    publisher.breaks, publisher.breaks_after = 5, 200_000
    threads = [threading.Thread(target=get, args=(store, publisher)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_there(store)
    assert len(publisher.asked) == 6


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/", "mirror.example", "http://", "file:///etc"])
def test_a_mirror_that_is_no_address(store: ModelStore, publisher: Publisher, mirror: str) -> None:
    with pytest.raises(ModelDownloadFailed, match="is no"):
        get(store, publisher, mirror=mirror)
    assert not store.root.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "main"},
        {"sha256": "abc"},
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"repository": "../.."},
        {"host": "user@evil.example/x"},
        {"host": "evil.example:1/"},
    ],
)
def test_what_is_not_pinned_or_leads_elsewhere_is_no_source(change: dict[str, str]) -> None:
    entry = {
        "host": "weights.example", "repository": "a/b", "revision": REVISION, "path": "x.onnx", "sha256": "0" * 64,
        "size_bytes": 1,
    }  # fmt: skip
    assert Source.of(entry).url() == f"https://weights.example/a/b/resolve/{REVISION}/x.onnx"
    with pytest.raises(ValueError, match="is not of the form"):
        Source.of({**entry, **change})
