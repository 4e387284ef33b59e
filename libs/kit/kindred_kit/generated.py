"""What is said of a generated image as a message, and what that makes of its origin."""

from __future__ import annotations

from dataclasses import replace

from kindred.search.v1 import search_pb2
from kindred_kit.imaging import Generation

PHOTO, GENERATED = "photo", "generated"


def origin_of(said: str, generation: Generation | None) -> str:
    """What was said; else a generator's mark makes an image generated."""
    return said or (GENERATED if generation else PHOTO)


def merged(given: Generation | None, embedded: Generation | None) -> Generation | None:
    """What was given wins over what stands in the file, value by value."""
    if given is None or embedded is None:
        return given or embedded
    said = {name: value for name, value in vars(given).items() if value not in {"", None}}
    return replace(embedded, **said)


def generation_message(origin: str, said: Generation | None) -> search_pb2.Generation | None:
    """None for what is no generated image: whoever calls it a photo means the marks of a program that edited it."""
    if said is None or origin != GENERATED:
        return None
    return search_pb2.Generation(**vars(said))
