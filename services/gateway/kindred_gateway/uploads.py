"""Query uploads: private images that live for a day and are never indexed."""

import asyncio
import hashlib
import re
import secrets
import time

from kindred_gateway.problems import UploadNotFound
from kindred_kit.errors import BlobNotFound, KindredError
from kindred_kit.ports.blobs import BlobStore
from kindred_kit.telemetry import get_logger

PREFIX = "uploads"
_ID = re.compile(r"up_([0-9a-f]{32})([0-9a-f]{16})")


def new_upload_id(owner: str) -> str:
    """`up_`, 32 random hex digits and 16 that bind them to the owner.

    Without the owner's name in the hash the id is another one, and so is the blob key: nobody else can use it.
    """
    return _bound(owner, secrets.token_hex(16))


def upload_key(upload_id: str) -> str:
    return f"{PREFIX}/{upload_id}"


async def existing_upload_key(blobs: BlobStore, upload_id: str, owner: str, ttl_s: int) -> str:
    """Blob key of an upload that is the owner's and not past its time. Raises UploadNotFound."""
    match = _ID.fullmatch(upload_id)
    if match is None or not secrets.compare_digest(upload_id, _bound(owner, match[1])):
        raise UploadNotFound("no such upload, or it is older than a day")
    info = await blobs.head(upload_key(upload_id))
    if info is None or info.modified_ms < _oldest_ms(ttl_s):
        raise UploadNotFound("no such upload, or it is older than a day")
    return info.key


async def sweep(blobs: BlobStore, ttl_s: int) -> int:
    """Remove uploads past their time; how many. Several gateways may do so at once."""
    past = [info.key async for info in blobs.list(PREFIX) if info.modified_ms < _oldest_ms(ttl_s)]
    for key in past:
        try:
            await blobs.delete(key)
        except BlobNotFound:  # another gateway was faster
            continue
    return len(past)


async def sweep_for_ever(blobs: BlobStore, ttl_s: int, interval_s: float) -> None:
    log = get_logger("gateway")
    while True:
        try:
            if removed := await sweep(blobs, ttl_s):
                log.info("query uploads removed", count=removed)
        except KindredError as error:  # the object store is down: next time
            log.warning("query uploads could not be swept", code=error.code, detail=error.detail)
        await asyncio.sleep(interval_s)


def _bound(owner: str, token: str) -> str:
    tag = hashlib.sha256(f"{owner}\0{token}".encode()).hexdigest()[:16]
    return f"up_{token}{tag}"


def _oldest_ms(ttl_s: int) -> int:
    return int((time.time() - ttl_s) * 1000)
