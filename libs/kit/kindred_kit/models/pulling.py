"""Publishers' files into the store, over HTTP or from a file; only what has the pinned SHA-256 is ever kept.

A download that breaks off goes on from where it stopped, in this run or in the next.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import httpx

from kindred_kit.errors import ModelDownloadFailed, ModelFileRefused
from kindred_kit.models.manifest import ModelManifest
from kindred_kit.models.source import Source
from kindred_kit.models.store import ModelStore, file_sha256

Report = Callable[[int, int], None]
"""Is told the bytes there are, and how many there will be."""
ATTEMPTS = 5
"""In a row without a single new byte."""
_FIRST_WAIT = timedelta(milliseconds=200)
_TIMEOUT_S = 30.0
_MAX_REDIRECTS = 5
_CHUNK_BYTES = 1 << 20
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_RANGE_REFUSED = 416


class _Again(Exception):
    """Worth another attempt."""


def pull(store: ModelStore, source: Source, mirror: str, report: Report, first_wait: timedelta = _FIRST_WAIT) -> None:
    """Fetch a file that is not in the store yet. Who pulls the same one meanwhile waits, and then has it.

    Raises ModelDownloadFailed (the address does not answer; what came is kept), ModelFileRefused (nothing is kept).
    """
    url = source.url(mirror)
    host = _host_of(url)
    with store.locked(source.sha256):
        if store.source_path(source).is_file():
            return
        part = store.part_path(source)
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(source, url, part, report, first_wait)
        found = file_sha256(part)
        if found != source.sha256:
            part.unlink()
            raise ModelFileRefused(
                f"{host} answered another file than the pinned {source.file_name}: "
                f"SHA-256 {found} instead of {source.sha256}; nothing of it was kept"
            )
        part.replace(store.source_path(source))


def models_of(models: Iterable[ModelManifest], path: Path) -> list[ModelManifest]:
    """Those that are made of this very file, told by its SHA-256. Raises ModelFileRefused where none is, OSError."""
    wanted = [(model, model.source) for model in models if model.source is not None]
    if path.exists() and not path.is_file():
        raise ModelFileRefused(f"{path.name} is no file; nothing was kept")  # a device or pipe may never end
    size = path.stat().st_size
    # a file that is too long for all of them need not be read
    digest = file_sha256(path) if size <= max((source.largest_bytes for _, source in wanted), default=0) else ""
    found = [model for model, source in wanted if source.sha256 == digest]
    if found:
        return found
    known = "; ".join(f"{model.name} of {source.file_name}, SHA-256 {source.sha256}" for model, source in wanted)
    raise ModelFileRefused(
        f"{path.name} ({size:,} bytes{f', SHA-256 {digest}' if digest else ''}) is no file that a model here is made "
        f"of; nothing was kept. There are: {known or 'none'}"
    )


def import_file(models: Iterable[ModelManifest], path: Path) -> None:
    """Copy a file into the store for `models` that are made of it. Raises ModelFileRefused, OSError."""
    for model in models:
        if model.source is not None:
            _copy(model.store, model.source, path)


def _copy(store: ModelStore, source: Source, path: Path) -> None:
    with store.locked(source.sha256):
        target = store.source_path(source)
        if target.is_file():
            return
        with store.draft(target) as draft:
            digest = hashlib.sha256()
            with path.open("rb") as given, draft.open("wb") as copy:
                while chunk := given.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
            if digest.hexdigest() != source.sha256:
                raise ModelFileRefused(f"{path.name} changed while it was read; nothing was kept")


def _fetch(source: Source, url: str, part: Path, report: Report, first_wait: timedelta) -> None:
    idle, wait_s = 0, first_wait.total_seconds()
    with httpx.Client(timeout=_TIMEOUT_S, headers={"Accept-Encoding": "identity"}) as client:
        while True:
            before = _size(part)
            try:
                return _receive(client, source, url, part, report)
            except (httpx.TransportError, httpx.InvalidURL, _Again) as error:
                idle = 0 if _size(part) > before else idle + 1
                if idle >= ATTEMPTS:
                    raise ModelDownloadFailed(
                        f"{httpx.URL(url).host} did not give {source.file_name}: {error or type(error).__name__}; "
                        f"{_size(part):,} bytes are kept"
                    ) from error
            time.sleep(wait_s * 2 ** max(0, idle - 1))


def _receive(client: httpx.Client, source: Source, url: str, part: Path, report: Report) -> None:
    """One attempt, from where the last one stopped. Raises _Again, httpx.TransportError for what may pass."""
    offset = _size(part)
    if offset == source.size_bytes and source.size_is_exact:
        return
    with _answer(client, url, offset) as answer:
        if answer.status_code == _RANGE_REFUSED:
            part.unlink(missing_ok=True)  # it holds more than the publisher has
            raise _Again("what had come before did not fit")
        if answer.status_code not in {200, 206}:
            _refuse_status(answer, source)
        offset, total = _place(answer, offset)
        if total is not None and not source.can_have(total):
            part.unlink(missing_ok=True)
            raise ModelFileRefused(
                f"{answer.url.host} offers {total:,} bytes as {source.file_name}, not {source.size_bytes:,}; "
                "nothing was kept"
            )
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            # in chunks as they come: what a larger one still waited for would be lost with the connection
            _write(answer.iter_raw(), file, offset, total, source, report)
    wanted = source.size_bytes if source.size_is_exact else total
    if wanted is not None and _size(part) < wanted:
        raise _Again(f"the answer ended after {_size(part):,} of {wanted:,} bytes")


def _write(
    chunks: Iterator[bytes], file: BinaryIO, offset: int, total: int | None, source: Source, report: Report
) -> None:
    file.truncate(offset)
    for chunk in chunks:
        offset += len(chunk)
        if offset > source.largest_bytes:
            Path(file.name).unlink(missing_ok=True)
            raise ModelFileRefused(f"more than {source.largest_bytes:,} bytes came as {source.file_name}")
        file.write(chunk)
        report(offset, total or source.size_bytes)


@contextmanager
def _answer(client: httpx.Client, url: str, offset: int) -> Iterator[httpx.Response]:
    """After redirects, of which none may leave TLS."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = client.build_request("GET", url, headers=headers)
    for _ in range(_MAX_REDIRECTS + 1):
        answer = client.send(request, stream=True)
        following = answer.next_request
        if following is None:
            try:
                yield answer
            finally:
                answer.close()
            return
        answer.close()
        if request.url.scheme == "https" and following.url.scheme != "https":
            raise ModelDownloadFailed(f"{request.url.host} redirects to an address without TLS: {following.url.host}")
        request = client.build_request("GET", following.url, headers=headers)
    raise ModelDownloadFailed(f"{httpx.URL(url).host} redirects more than {_MAX_REDIRECTS} times")


def _place(answer: httpx.Response, offset: int) -> tuple[int, int | None]:
    """(where the body belongs, how long the whole is). A server that ignores Range starts from 0."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ModelDownloadFailed(f"{answer.url.host} answers compressed, which was not asked for")
    if answer.status_code == 200:
        length = answer.headers.get("content-length", "")
        return 0, int(length) if length.isdecimal() else None
    unit, _, rest = answer.headers.get("content-range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal() or int(start) != offset:
        raise _Again("the answer is of another part of the file than was asked for")
    return offset, int(total) if total.isdecimal() else None


def _refuse_status(answer: httpx.Response, source: Source) -> None:
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in _RETRIED:
        raise _Again(f"it answers {said}")
    raise ModelDownloadFailed(f"{answer.url.host} does not give {source.path}: it answers {said}")


def _host_of(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ModelDownloadFailed(f"{url[:200]} is no address: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ModelDownloadFailed(f"{url[:200]} is no http or https address")
    return parsed.host


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
