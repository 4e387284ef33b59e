"""An archive from the service to a place of the user's: a zip file or a folder, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import orjson

from kindred_kit.errors import KindredError, Unavailable, storage_error
from kindred_standalone.connect import Node
from kindred_standalone.errors import UsageError
from kindred_standalone.queries import checked
from kindred_standalone.text import printable_path

_NOT_DONE = "the data set is not done yet; kindred dataset show says how far it is"


def require_free(output: Path) -> None:
    """Refuse early what would fail at the end. Raises UsageError."""
    empty = output.is_dir() and not any(output.iterdir()) and not is_zip(output)
    if output.exists() and not empty:
        raise UsageError(f"{printable_path(output)} is there already; choose another name with -o")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {printable_path(output.absolute().parent)}")


def is_zip(output: Path) -> bool:
    return output.suffix.lower() == ".zip"


async def fetch(node: Node, dataset_id: str, output: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Download, compare the checksum, put in place. Raises OSError, StorageFull, Unavailable, UsageError."""
    dataset = checked(await node.http.get(f"/v1/datasets/{dataset_id}")).body
    download = dataset["download"]
    if download is None:
        raise UsageError(_NOT_DONE)
    with _beside(output) as draft:
        archive = draft / "archive.zip"
        digest = hashlib.sha256()
        done = 0
        try:
            async with node.http.stream("GET", download["url"]) as response:
                if response.status_code != 200:
                    await response.aread()
                    checked(response)
                with archive.open("wb") as file:
                    async for part in response.aiter_bytes(1 << 20):
                        digest.update(part)
                        await asyncio.to_thread(file.write, part)
                        on_bytes(done := done + len(part), download["bytes"])
            if digest.hexdigest() != download["sha256"]:
                raise KindredError("the archive did not arrive as it was sent; run kindred dataset download again")
            if is_zip(output):
                archive.replace(output)
            else:
                await asyncio.to_thread(_unpack, archive, draft / "new", output)
        except httpx.TransportError as error:
            raise Unavailable(f"the download broke off; kindred dataset download {dataset_id} -o OUT") from error
        except OSError as error:
            raise storage_error(error) or error from None


def manifest_of(output: Path) -> dict[str, Any]:
    """The manifest of a data set that was put in place."""
    if is_zip(output):
        with zipfile.ZipFile(output) as archive:
            return dict(orjson.loads(archive.read("manifest.json")))
    return dict(orjson.loads((output / "manifest.json").read_bytes()))


def _unpack(archive: Path, new: Path, output: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            parts = PurePosixPath(name).parts
            if not parts or parts[0] == "/" or ".." in parts:
                raise KindredError(f"the archive holds a file that does not belong there: {name!r}")
        packed.extractall(new)
    os.replace(new, output)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A folder on the disk of `output`, gone in the end."""
    draft = output.absolute().with_name(f".{output.name}.kindred-new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
