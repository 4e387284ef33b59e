"""What is searched of how an image was generated: its model, without case, and the words of its prompt.

An index row carries both as tokens of all claims together. They narrow a search and decide nothing: the catalogue looks
at the claim that the principal is shown, so that nobody learns what another account says in private.
"""

import re
from collections.abc import Iterable, Sequence

from kindred_search.domain import Generation
from kindred_search.vectors.port import HasAny

MAX_MODEL_KEY = 200
_WORD = re.compile(r"\w+")
_MAX_WORD = 40
_MAX_WORDS = 128
"""Distinct words of a row; a prompt of 75 tokens has fewer. A row of more passes for every word."""

_MORE = "word*"


def model_key(name: str) -> str:
    """A model's name as it is compared."""
    return name.casefold().strip()[:MAX_MODEL_KEY]


def words(text: str) -> list[str]:
    """The distinct words of a text, without case, in order; a long one is cut, here and in the prompt alike."""
    return list(dict.fromkeys(word[:_MAX_WORD] for word in _WORD.findall(text.casefold())))


def stored_words(prompt: str) -> str:
    """Words with a space on both sides of each, so that one of them is found as ` word `."""
    found = words(prompt)
    return f" {' '.join(found)} " if found else ""


def tokens(said: Iterable[Generation]) -> tuple[str, ...]:
    """Of all claims on an image."""
    found: dict[str, None] = {}
    for generation in said:
        key, prompt_words = model_key(generation.model), words(generation.prompt)
        if key:
            found[f"model:{key}"] = None
        found |= dict.fromkeys(f"word:{word}" for word in prompt_words[:_MAX_WORDS])
        if len(prompt_words) > _MAX_WORDS:
            found[_MORE] = None
    return tuple(found)


def of_models(keys: Sequence[str]) -> HasAny:
    """Rows that one of these models may have made."""
    return HasAny("generation", tuple(f"model:{key}" for key in keys))


def with_word(word: str) -> HasAny:
    """Rows whose prompt may have this word."""
    return HasAny("generation", (f"word:{word}", _MORE))
