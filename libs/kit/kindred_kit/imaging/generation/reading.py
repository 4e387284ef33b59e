"""The record of a file: from PNG text chunks by their keyword, else from EXIF."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PIL import Image

from kindred_kit.imaging.generation import automatic1111, comfyui, invokeai, user_comment
from kindred_kit.imaging.generation.record import Generation

# In order: `parameters` is the most exact, and some tools write it beside a graph.
_PARSERS: tuple[tuple[str, Callable[[str], Generation | None]], ...] = (
    ("parameters", automatic1111.parse),
    ("invokeai_metadata", invokeai.parse),
    ("sd-metadata", invokeai.parse_old),
    ("prompt", comfyui.parse),
    ("workflow", comfyui.parse_workflow),
)


def read_generation(texts: Mapping[str, str], exif: Image.Exif) -> Generation | None:
    """None where no generator has left its mark. `texts`: a PNG's, by keyword. Never raises."""
    found = _from_texts(texts)
    if found is not None:
        return found
    found = _from_texts(user_comment.labelled_texts(exif))
    return found if found is not None else _from_comment(user_comment.user_comment(exif))


def _from_texts(texts: Mapping[str, str]) -> Generation | None:
    for keyword, parse in _PARSERS:
        found = parse(texts[keyword]) if keyword in texts else None
        if found is not None:
            return found
    return None


def _from_comment(comment: str) -> Generation | None:
    if not comment:
        return None
    for parse in (automatic1111.parse, invokeai.parse, comfyui.parse, comfyui.parse_workflow):
        found = parse(comment)
        if found is not None:
            return found
    return None
