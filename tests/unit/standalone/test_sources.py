"""Lists, tables, tars and folders of objects as items; hostile ones are bounded."""

import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.image_host import image_host
from support.photos import noise_jpeg

from kindred_kit.errors import ImageDownloadFailed, KindredError
from kindred_kit.fetching import Fetcher
from kindred_kit.imaging import ImageLimits
from kindred_standalone.errors import UsageError
from kindred_standalone.sources.bucket import Bucket
from kindred_standalone.sources.checkpoint import Checkpoint
from kindred_standalone.sources.fields import license_name, parse_mapping
from kindred_standalone.sources.item import Item, SourceInvalid
from kindred_standalone.sources.lists import UrlList
from kindred_standalone.sources.loading import Loaders
from kindred_standalone.sources.opening import open_source
from kindred_standalone.sources.politeness import Manners, PoliteFetcher
from kindred_standalone.sources.tables import CsvTable, ParquetTable
from kindred_standalone.sources.webdataset import WebDataset

LIMITS = ImageLimits(max_bytes=100_000)


def loaders(root: Path | None = None, **options: Any) -> Loaders:
    fetcher = Fetcher(LIMITS.max_bytes, 5, allow_private=True)
    return Loaders(PoliteFetcher(fetcher, Manners(first_wait_s=0.001, **options)), LIMITS, root)


def write_tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


async def code_of(item: Item) -> str:
    try:
        await item.load()
    except KindredError as error:
        return error.code
    return ""


def test_a_list_of_urls(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# mine\nhttp://a.example/x%20y.jpg?s=1\n\n  http://b.example/\xff\nhttp://a" + b"a" * 50_000
    )
    items = list(UrlList(path, loaders()).items())
    assert [item.file_name for item in items[:1]] == ["x y.jpg"]
    assert items[0].place == "http://a.example/x%20y.jpg?s=1"
    assert len({item.identity for item in items}) == len(items) == 3


def test_a_table_says_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "URL,TEXT,license,license_url,creator,credit,source_url,seed\n"
        'http://a.example/1.jpg,"a dog, on\nsnow",CC BY-SA 4.0,,Ann,Agency,http://a.example/,7\n'
        "http://a.example/2.jpg,,All rights reserved,,,,,\n"
    )
    first, second = CsvTable(path, loaders(), {}).items()
    assert first.fields == {
        "caption": "a dog, on snow",
        "license": "by-sa",
        "creator": "Ann",
        "credit": "Agency",
        "source_url": "http://a.example/",
        "seed": "7",
    }
    assert second.fields == {}
    mapped = list(CsvTable(path, loaders(), parse_mapping(["caption=creator"])).items())
    assert mapped[0].fields["caption"] == "Ann"
    assert mapped[0].identity != first.identity


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("by-nc-nd", "by-nc-nd"), ("CC0", "cc0"), ("cc0 1.0 universal", "cc0"), ("CC-BY-4.0", "by"), ("PDM", "pdm"),
        ("unsplash", "unsplash"), ("", ""), ("by or by-sa", ""), ("GPL", ""), ("cc " * 1_000, ""),
    ],
)  # fmt: skip
def test_names_of_licences(text: str, name: str) -> None:
    assert license_name(text) == name


async def test_parquet_and_its_types(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "a.jpg").write_bytes(noise_jpeg(1))
    table = {"path": ["a.jpg", "b.jpg"], "seed": [7.0, None], "caption": ["x", None], "unused": [[1], [2]]}
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    first, second = ParquetTable(tmp_path / "t.parquet", loaders(), {}).items()
    assert first.fields == {"seed": "7", "caption": "x"}
    assert await first.load() == noise_jpeg(1)
    assert await code_of(second) == "image_missing"
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceInvalid, match="Parquet"):
        list(ParquetTable(tmp_path / "broken.parquet", loaders(), {}).items())


async def test_paths_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(noise_jpeg(1))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    outside = str(tmp_path / "secret.jpg")
    (folder / "t.csv").write_text(f"path\n../secret.jpg\n{outside}\nlink.jpg\nfile://{outside}\n\\0\n")
    items = list(CsvTable(folder / "t.csv", loaders(), {}).items())
    assert [await code_of(item) for item in items[:4]] == ["path_refused"] * 4
    allowed = next(CsvTable(folder / "t.csv", loaders(tmp_path), {}).items())
    assert await code_of(allowed) == "path_refused"  # relative to the root now, and still above it


def test_tables_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column url or path"):
        list(CsvTable(tmp_path / "t.csv", loaders(), {}).items())
    with pytest.raises(UsageError, match="no column 'x'"):
        list(CsvTable(tmp_path / "t.csv", loaders(), {"url": "x"}).items())
    (tmp_path / "huge.csv").write_text("url\n" + "x" * 2_000_000)
    with pytest.raises(SourceInvalid, match="field larger"):
        list(CsvTable(tmp_path / "huge.csv", loaders(), {}).items())
    with pytest.raises(UsageError, match="FIELD=COLUMN"):
        parse_mapping(["urls"])


async def test_samples_of_a_tar(tmp_path: Path) -> None:
    said = json.dumps({"license": "by", "url": "http://a", "creator": "Ann"}).encode()
    path = write_tar(
        tmp_path / "s.tar",
        ("a/0.json", said), ("a/0.jpg", noise_jpeg(1)), ("a/0.txt", b"a dog"),
        ("../../etc/1.png", b"not one"), ("../../etc/1.json", b"[" * 9_000), ("2.cls", b"7"), ("3.jpg", b""),
    )  # fmt: skip
    items = list(WebDataset(path, LIMITS).items())
    assert [item.file_name for item in items] == ["0.jpg", "1.png", "3.jpg"]
    assert items[0].fields == {"caption": "a dog", "license": "by", "creator": "Ann"}
    assert await items[0].load() == noise_jpeg(1)
    assert [await code_of(item) for item in items] == ["", "", "image_empty"]
    assert list(tmp_path.iterdir()) == [path], "nothing is unpacked"


async def test_hostile_tars(tmp_path: Path) -> None:
    links = tmp_path / "links.tar"
    with tarfile.open(links, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("x.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert list(WebDataset(links, LIMITS).items()) == []

    liar = tarfile.TarInfo("x.jpg")
    liar.size = 10**12
    (tmp_path / "liar.tar").write_bytes(liar.tobuf())
    items = WebDataset(tmp_path / "liar.tar", LIMITS).items()
    assert await code_of(next(items)) == "image_too_large"
    with pytest.raises(SourceInvalid, match="end of data"):
        next(items)

    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 10**11
    (tmp_path / "name.tar").write_bytes(long_name.tobuf() + b"x" * 10_000)
    (tmp_path / "packed.tar").write_bytes(b"\x1f\x8b" + b"x" * 5_000)
    for name in ("name.tar", "packed.tar"):
        with pytest.raises(SourceInvalid, match="tar"):
            list(WebDataset(tmp_path / name, LIMITS).items())

    cut = write_tar(tmp_path / "cut.tar", ("1.jpg", noise_jpeg(1)))
    cut.write_bytes(cut.read_bytes()[:900])
    assert await code_of(next(WebDataset(cut, LIMITS).items())) == "image_truncated"


async def test_objects_below_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.JPG").write_bytes(noise_jpeg(1))
    (tmp_path / "b.txt").write_bytes(b"x")
    (tmp_path / "c.png").write_bytes(b"x" * 200_000)
    items = {item.file_name: item for item in Bucket(f"file://{tmp_path}", LIMITS).items()}
    assert set(items) == {"a.JPG", "c.png"}
    assert await items["a.JPG"].load() == noise_jpeg(1)
    assert await code_of(items["c.png"]) == "image_too_large"
    with pytest.raises(SourceInvalid):
        list(Bucket("s3://", LIMITS).items())


async def test_what_may_pass_is_tried_again() -> None:
    with image_host() as host:
        host.files = {f"/{n}.jpg": noise_jpeg(n) for n in range(3)}
        host.moods = {"/0.jpg": [503, 500], "/1.jpg": [429], "/2.jpg": [503] * 9}
        load = loaders().url
        assert await load(f"{host.url}/0.jpg")() == noise_jpeg(0)
        assert await load(f"{host.url}/1.jpg")() == noise_jpeg(1)
        with pytest.raises(ImageDownloadFailed, match="answered 503"):
            await load(f"{host.url}/2.jpg")()
        with pytest.raises(ImageDownloadFailed, match="answered 404"):
            await load(f"{host.url}/none")()
        assert host.asked == {"/0.jpg": 3, "/1.jpg": 2, "/2.jpg": 4, "/none": 1}


async def test_one_host_is_asked_by_few_at_once() -> None:
    class Slow:
        now = most = 0

        async def fetch(self, url: str) -> bytes:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.001)
            self.now -= 1
            return b""

    slow: Any = Slow()
    polite = PoliteFetcher(slow, Manners(per_host=3))
    await asyncio.gather(*(polite.fetch(f"http://a.example/{n}") for n in range(30)))
    assert slow.most == 3


async def test_a_host_that_asks_for_silence_gets_it_from_all() -> None:
    waits: list[float] = []

    class Busy:
        async def fetch(self, url: str) -> bytes:
            error = ImageDownloadFailed("it answered 429")
            error.retryable, error.retry_after_s = True, 30.0 if url.endswith("short") else 10_000.0
            raise error

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 2:
            raise ImageDownloadFailed("enough of it")

    busy: Any = Busy()
    polite = PoliteFetcher(busy, sleep=sleep)
    with pytest.raises(ImageDownloadFailed, match="left alone for 10000 s"):
        await polite.fetch("http://a.example/long")
    assert waits == []
    with pytest.raises(ImageDownloadFailed, match="enough"):
        await polite.fetch("http://a.example/short")
    assert all(25 < wait <= 30 for wait in waits)


def test_a_checkpoint_remembers(tmp_path: Path) -> None:
    identities = [f"{n:064x}"[::-1] for n in range(1_500)]
    first = Checkpoint(tmp_path / "c.db")
    first.add({identity: f"{n:064x}" for n, identity in enumerate(identities[:1_200])})
    first.add({identities[0]: "f" * 64})
    first.close()
    second = Checkpoint(tmp_path / "c.db")
    found = second.known(identities)
    second.close()
    assert len(found) == 1_200
    assert found[identities[0]] == "f" * 64
    assert found[identities[7]] == f"{7:064x}"


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_bytes(b"")
    for name in (str(tmp_path / "none.csv"), str(tmp_path / "a.doc"), "http://a.example/1.jpg"):
        with pytest.raises(UsageError):
            open_source(name, loaders(), LIMITS, {})
    assert open_source(str(tmp_path), loaders(), LIMITS, {}) == tmp_path
