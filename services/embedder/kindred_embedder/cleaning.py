"""Texts as each family of text towers was trained on them."""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def whitespace(text: str) -> str:
    """Runs of white space become one blank; nothing else changes."""
    return " ".join(text.split())


def clip(text: str) -> str:
    """Mojibake mended, HTML entities read (twice: captions from the web are often escaped twice), lower case.

    Source: OpenAI CLIP, clip/simple_tokenizer.py `basic_clean`, `whitespace_clean`.
    """
    import ftfy  # its tables take 30 ms, which a space without CLIP need not spend

    return whitespace(html.unescape(html.unescape(ftfy.fix_text(text)))).lower()


def canonical(text: str) -> str:
    """Lower case without ASCII punctuation, as SigLIP has it.

    Source: google-research/big_vision, evaluators/proj/image_text/prompt_engineering.py `canonicalize_text`.
    """
    return whitespace(text.replace("_", " ").translate(_NO_PUNCTUATION).lower())


CLEANERS: Mapping[str, Callable[[str], str]] = {"whitespace": whitespace, "clip": clip, "canonical": canonical}
"""Value of `tokenizer.clean` in a model.yaml -> what is done."""
