"""What a user calls an image (an id, its first characters, a file) -> its id."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import ImageNotFound
from kindred_standalone.connect import LOCAL, Node
from kindred_standalone.errors import UsageError
from kindred_standalone.references import file_key, read_named
from kindred_standalone.settings import StandaloneSettings
from kindred_standalone.text import printable, printable_path

_ID_PREFIX = re.compile(r"[0-9a-f]{4,64}")


async def find_image(node: Node, name: str) -> str:
    """The id that `name` means. Raises ImageNotFound, UsageError for an ambiguous prefix, FileUnreadable."""
    path = _absolute(name)
    prefix = name.lower()
    if _ID_PREFIX.fullmatch(prefix):
        answer = await node.search.ResolvePrefix(pb.ResolvePrefixRequest(principal=LOCAL, prefix=prefix))
        if len(answer.image_ids) == 1:
            return str(answer.image_ids[0])
        if answer.image_ids:
            raise UsageError(f"{prefix} begins several ids; give more characters: {', '.join(answer.image_ids)}")
    elif "/" not in name and "." not in name and not _exists(path):
        raise UsageError(f"{printable(name)} is neither an id (4 to 64 hex digits) nor a file")
    return await _find_file(node, path)


async def _find_file(node: Node, path: bytes) -> str:
    request = pb.FindReferencesRequest(principal=LOCAL, blob_keys=[file_key(path)])
    answer = await node.search.FindReferences(request)
    for reference in answer.references:
        if reference.state != pb.STATE_DELETED:
            return reference.image_id
    if not _exists(path):
        raise ImageNotFound(f"no indexed image is called {printable_path(path)}")
    data = await asyncio.to_thread(read_named, path, StandaloneSettings().max_image_bytes)
    image_id = hashlib.sha256(data).hexdigest()
    states = await node.search.GetStates(pb.GetStatesRequest(principal=LOCAL, image_ids=[image_id]))
    if not any(state.state != pb.STATE_DELETED for state in states.states):
        raise ImageNotFound(f"{printable_path(path)} is not indexed")
    return image_id


def _absolute(name: str) -> bytes:
    return os.path.abspath(os.fsencode(name))


def _exists(path: bytes) -> bool:
    return os.path.lexists(path)
