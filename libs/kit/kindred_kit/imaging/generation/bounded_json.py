"""JSON of a stranger: bounded in size and in depth before a parser sees it."""

from __future__ import annotations

import json
from typing import Any

MAX_CHARS = 256 * 1024
MAX_DEPTH = 64
"""Workflows nest about eight deep."""


def parse_object(text: str) -> dict[str, Any] | None:
    """The object, or None for anything else. NaN, which ComfyUI writes, becomes None."""
    if len(text) > MAX_CHARS or not text.lstrip().startswith("{") or _too_deep(text):
        return None
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _too_deep(text: str) -> bool:
    """Brackets inside of strings count too; no honest prompt has so many open ones."""
    depth = 0
    for char in text:
        if char in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif char in "}]":
            depth -= 1
    return False
