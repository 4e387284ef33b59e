"""What is known of how an image was generated, cleaned and bounded whoever says it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kindred_kit.imaging.rights import clean_text

MAX_PROMPT_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_SEED = 2**64 - 1
MAX_STEPS = 100_000
MAX_GUIDANCE = 1_000_000.0
_MODEL_SUFFIXES = (".safetensors", ".ckpt", ".gguf", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Generation:
    """Texts are clean and empty where nothing is said; `seed` 0..2^64-1, `guidance` is the CFG scale.

    `tool` is the program: automatic1111, comfyui, invokeai, or empty where a person said it.
    """

    tool: str = ""
    model: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None

    def __bool__(self) -> bool:
        return self != Generation()


def generation(tool: str, said: dict[str, Any]) -> Generation:
    """From values of any type: what is not what it should be counts as not said."""
    return Generation(
        tool=tool,
        model=model_name(said.get("model")),
        prompt=text(said.get("prompt"), MAX_PROMPT_CHARS),
        negative_prompt=text(said.get("negative_prompt"), MAX_PROMPT_CHARS),
        sampler=text(said.get("sampler"), MAX_NAME_CHARS),
        seed=whole(said.get("seed"), MAX_SEED),
        steps=whole(said.get("steps"), MAX_STEPS),
        guidance=number(said.get("guidance"), MAX_GUIDANCE),
    )


def text(value: Any, max_chars: int) -> str:
    return (clean_text(value, max_chars) or "") if isinstance(value, str) else ""


def model_name(value: Any) -> str:
    """A model's name without folders of the maker's disk and without the suffix of its file."""
    name = text(value, 4 * MAX_NAME_CHARS).replace("\\", "/").rpartition("/")[2]
    suffix = next((end for end in _MODEL_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)][:MAX_NAME_CHARS].strip()


def whole(value: Any, most: int) -> int | None:
    """0..most, also from digits in a text or from 20.0."""
    if isinstance(value, str) and 0 < len(value.strip()) <= 20 and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def number(value: Any, most: float) -> float | None:
    """0..most, also from a text."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= most and math.isfinite(value) else None
