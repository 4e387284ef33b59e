"""An archive lands whole where it is wanted, or not at all."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from kindred_kit.errors import KindredError
from kindred_standalone.datasets.archive import fetch, manifest_of, require_free
from kindred_standalone.errors import UsageError


def packed(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_dot_", "."), text)
    return buffer.getvalue()


ARCHIVE = packed(manifest_dot_json='{"name": "x"}')


def node(data: bytes, sha256: str | None = None, *, cut: int | None = None) -> Any:
    """A gateway that serves one data set."""

    async def body() -> AsyncIterator[bytes]:
        yield data[:cut]
        if cut is not None:
            raise httpx.ReadError("the connection broke")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/archive"):
            return httpx.Response(200, content=body())
        digest = sha256 or hashlib.sha256(data).hexdigest()
        download = {"url": "/v1/datasets/ds_1/archive?token=t", "bytes": len(data), "sha256": digest}
        return httpx.Response(200, json={"download": download})

    return SimpleNamespace(http=httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://gateway"))


@pytest.mark.parametrize("name", ["out.zip", "out"])
async def test_it_arrives(tmp_path: Path, name: str) -> None:
    seen: list[int] = []
    await fetch(node(ARCHIVE), "ds_1", tmp_path / name, lambda done, total: seen.append(done))
    assert manifest_of(tmp_path / name) == {"name": "x"}
    assert seen[-1] == len(ARCHIVE)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.zip", "out"])
@pytest.mark.parametrize(
    "served",
    [
        lambda: node(ARCHIVE, "0" * 64),
        lambda: node(ARCHIVE, cut=20),
    ],
)
async def test_what_does_not_arrive_leaves_nothing(tmp_path: Path, name: str, served: Any) -> None:
    with pytest.raises(KindredError):
        await fetch(served(), "ds_1", tmp_path / name, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hostile", ["../up.txt", "/etc/x", "a/../../up.txt"])
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, hostile: str) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(KindredError, match="does not belong"):
        await fetch(node(packed(**{hostile: "x"})), "ds_1", tmp_path / "here" / "out", lambda *_: None)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_place_that_is_taken_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "a.zip").touch()
    (tmp_path / "empty").mkdir()
    for name in ("full", "a.zip", "nowhere/out"):
        with pytest.raises(UsageError):
            require_free(tmp_path / name)
    require_free(tmp_path / "empty")
    require_free(tmp_path / "new.zip")
