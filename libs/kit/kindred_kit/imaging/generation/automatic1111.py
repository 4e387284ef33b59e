"""AUTOMATIC1111's `parameters`, which many programs write too: prompt, negative prompt, one line of settings.

a castle in the mist, oil on canvas
Negative prompt: blurry, text
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model hash: 6ce0161689, Model: v1-5-pruned
"""

from __future__ import annotations

import json
import re

from kindred_kit.imaging.generation.record import Generation, generation

_NEGATIVE = "Negative prompt:"
_SETTINGS = re.compile(r"^Steps: *\d", re.MULTILINE)
# bounded repetitions, so that no text takes long
_PAIR = re.compile(r'([A-Za-z][\w -]{0,40}): {0,3}("(?:\\.|[^\\"]){0,2000}"|[^,\n]{0,2000})')
_MAX_SETTINGS_CHARS = 8_000
_MAX_CHARS = 64 * 1024


def parse(parameters: str) -> Generation | None:
    """None where there is no line of settings: then it is no such text."""
    parameters = parameters[:_MAX_CHARS]
    starts = [match.start() for match in _SETTINGS.finditer(parameters)]
    if not starts:
        return None
    # a prompt may hold a line that looks like it; the last one is the program's
    said = parameters[: starts[-1]]
    line = parameters[starts[-1] : starts[-1] + _MAX_SETTINGS_CHARS]
    settings: dict[str, str] = {}
    for name, value in _PAIR.findall(line):
        settings.setdefault(name.strip().lower(), _unquoted(value.strip()))
    prompt, _, negative = said.partition(_NEGATIVE) if said.startswith(_NEGATIVE) else said.partition("\n" + _NEGATIVE)
    return generation(
        "automatic1111",
        {
            "model": settings.get("model") or settings.get("model hash"),
            "prompt": prompt,
            "negative_prompt": negative,
            "sampler": settings.get("sampler"),
            "seed": settings.get("seed"),
            "steps": settings.get("steps"),
            "guidance": settings.get("cfg scale"),
        },
    )


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
