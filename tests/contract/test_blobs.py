"""Contract of the BlobStore port, on every adapter."""

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import MemoryBlobs
from support.s3_server import CREDENTIALS, S3Server

from kindred_kit.adapters.file_references import FileReferences, reference_key
from kindred_kit.adapters.object_store import ObjectBlobStore
from kindred_kit.errors import BlobNotFound, ImageChanged, ImageMissing, InvalidArgument, StorageFull, Unavailable
from kindred_kit.ports.blobs import BlobStore

ADAPTERS: dict[str, Callable[[Path, S3Server | None], BlobStore]] = {
    "fake": lambda folder, _: MemoryBlobs(),
    "local": lambda folder, _: ObjectBlobStore.local(folder / "blobs"),
    "memory": lambda folder, _: ObjectBlobStore.from_url("memory:///"),
    "references over local": lambda folder, _: FileReferences(ObjectBlobStore.local(folder / "blobs")),
    "s3": lambda _, server: in_bucket(server),
    "references over s3": lambda _, server: FileReferences(in_bucket(server)),
}


@pytest.fixture(params=ADAPTERS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    server = request.getfixturevalue("s3") if request.param.endswith("s3") else None
    return ADAPTERS[request.param](tmp_path, server)


def in_bucket(server: S3Server | None) -> ObjectBlobStore:
    """Below a prefix of a bucket of its own."""
    assert server is not None
    name = f"b{secrets.token_hex(8)}"
    return ObjectBlobStore.from_url(f"s3://{name}/a/prefix", **server.bucket(name))


async def test_a_put_is_read_back(blobs: BlobStore) -> None:
    await blobs.put("images/ab/abcd", b"\x00\xffbytes")
    assert await blobs.get("images/ab/abcd") == b"\x00\xffbytes"
    info = await blobs.head("images/ab/abcd")
    assert info is not None
    assert (info.key, info.size_bytes) == ("images/ab/abcd", 7)
    assert info.modified_ms > 1_600_000_000_000


async def test_a_put_overwrites(blobs: BlobStore) -> None:
    await blobs.put("k", b"first, longer")
    await blobs.put("k", b"second")
    assert await blobs.get("k") == b"second"


async def test_a_file_is_stored(blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(bytes(range(256)) * 60_000)  # 15 MB: more than one part of an upload
    await blobs.put("k", b"before")
    await blobs.put_file("k", path)
    assert await blobs.get("k") == path.read_bytes()
    with pytest.raises(InvalidArgument):
        await blobs.put_file("../up", path)


async def test_an_absent_object(blobs: BlobStore) -> None:
    assert await blobs.head("absent") is None
    with pytest.raises(BlobNotFound):
        await blobs.get("absent")
    await blobs.delete("absent")


async def test_a_deleted_object_is_gone(blobs: BlobStore) -> None:
    await blobs.put("k", b"x")
    await blobs.delete("k")
    assert await blobs.head("k") is None


async def test_list_stays_within_the_folder(blobs: BlobStore) -> None:
    for key in ("a/1", "a/2", "ab/3", "b/4"):
        await blobs.put(key, b"x")
    assert sorted([info.key async for info in blobs.list("a")]) == ["a/1", "a/2"]
    assert len([info async for info in blobs.list("")]) == 4


async def test_an_empty_object(blobs: BlobStore) -> None:
    await blobs.put("empty", b"")
    assert await blobs.get("empty") == b""


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 7, b"3456"), (3, 99, b"3456789"), (4, 4, b"")],
)
async def test_parts_of_an_object(blobs: BlobStore, start: int, end: int | None, expected: bytes) -> None:
    await blobs.put("k", b"0123456789")
    assert b"".join([part async for part in blobs.read("k", start, end)]) == expected


async def test_reading_what_is_not_there(blobs: BlobStore) -> None:
    await blobs.put("empty", b"")
    assert b"".join([part async for part in blobs.read("empty")]) == b""
    with pytest.raises(BlobNotFound):
        _ = [part async for part in blobs.read("absent")]


@pytest.mark.parametrize("key", ["", "/abs", "a//b", "../up", "a/../../b", "a/./b", "new\nline", "nul\0", "ümlaut"])
async def test_a_hostile_key_is_refused(blobs: BlobStore, key: str) -> None:
    with pytest.raises(InvalidArgument):
        await blobs.put(key, b"x")
    with pytest.raises(InvalidArgument):
        await blobs.get(key)


async def test_references_read_the_original_and_never_change_it(tmp_path: Path) -> None:
    original = tmp_path / "my photo\n\udcff.jpg"  # a newline and a byte that is not UTF-8
    original.write_bytes(b"original")
    blobs = FileReferences(MemoryBlobs())
    key = reference_key(original)
    assert key.isascii()
    assert await blobs.get(key) == b"original"
    with pytest.raises(InvalidArgument):
        await blobs.put(key, b"changed")
    await blobs.delete(key)
    assert original.read_bytes() == b"original"
    original.unlink()
    assert await blobs.head(key) is None
    with pytest.raises(ImageMissing):
        await blobs.get(key)


async def test_a_reference_to_a_pipe_or_to_too_much_is_not_read(tmp_path: Path) -> None:
    references = FileReferences(MemoryBlobs(), max_bytes=10)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageMissing, match="not a regular file"):
        await references.get(reference_key(tmp_path / "pipe.jpg"))
    (tmp_path / "grown.jpg").write_bytes(b"x" * 11)
    with pytest.raises(ImageChanged):
        await references.get(reference_key(tmp_path / "grown.jpg"))


async def test_a_store_that_can_not_be_written_is_unavailable(tmp_path: Path) -> None:
    blobs = ObjectBlobStore.local(tmp_path / "blobs")
    (tmp_path / "blobs" / "images").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await blobs.put("images/ab/abcd", b"x")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(Unavailable):
        await blobs.put_file("images/ab/abcd", tmp_path / "file")


async def test_a_file_is_linked_where_that_is_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "archive"
    file.write_bytes(b"x" * 100)
    blobs = ObjectBlobStore.local(tmp_path / "blobs")
    await blobs.put_file("a/linked", file)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "another file system")))
    await blobs.put_file("a/copied", file)
    found = {path.name: path.stat().st_ino == file.stat().st_ino for path in (tmp_path / "blobs" / "a").iterdir()}
    assert found == {"linked": True, "copied": False}
    assert await blobs.get("a/copied") == await blobs.get("a/linked") == b"x" * 100


async def test_a_full_disk_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageFull):
        await ObjectBlobStore.local(tmp_path / "blobs").put_file("a/b", tmp_path / "file")


async def test_a_bucket_that_does_not_answer_is_unavailable_and_tells_no_secret(s3: S3Server) -> None:
    options = s3.bucket("known")
    stores = {
        "no such bucket": ObjectBlobStore.from_url("s3://unknown", **options),
        "nobody there": ObjectBlobStore.from_url("s3://known", **{**options, "endpoint": "http://127.0.0.1:9"}),
    }
    for name, store in stores.items():
        with pytest.raises(Unavailable) as caught:
            await store.put("images/ab/abcd", b"x")
        assert not any(secret in str(caught.value) for secret in CREDENTIALS.values()), name


@pytest.mark.parametrize("url", ["ftp://host/x", "s3//bucket", "", "nonsense"])
def test_an_unknown_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="s3://bucket"):
        ObjectBlobStore.from_url(url)
