"""Texts -> the token tensors of a model, as its model.yaml says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kindred_embedder.cleaning import CLEANERS
from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest

_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask"}
_TYPES: Mapping[str, type[np.integer[Any]]] = {"int32": np.int32, "int64": np.int64}


class TokenReader:
    """Longer texts are cut after `max_tokens` tokens, the end token kept."""

    def __init__(self, model: ModelManifest) -> None:
        """Raises ModelInvalid."""
        if model.tokens is None or model.tokens.clean not in CLEANERS:
            raise ModelInvalid(f"model {model.name}: tokenizer.clean is one of {', '.join(CLEANERS)}")
        self.clean = CLEANERS[model.tokens.clean]
        self._types = _token_types(model)
        try:
            self._tokenizer = Tokenizer.from_file(str(model.tokenizer_path))
        except Exception as error:  # the library raises nothing more specific
            raise ModelInvalid(f"model {model.name}: {model.tokenizer_path.name} can't be read: {error}") from error
        self._tokenizer.enable_truncation(model.tokens.max_tokens)
        if model.tokens.pad_id is None:
            self._tokenizer.enable_padding()
        else:
            self._tokenizer.enable_padding(pad_id=model.tokens.pad_id, length=model.tokens.max_tokens)

    def read(self, cleaned: Sequence[str]) -> dict[str, NDArray[Any]]:
        """n texts -> input name -> [n, s], s fixed or that of the longest text."""
        encoded = self._tokenizer.encode_batch(list(cleaned))
        return {
            name: np.array([getattr(tokens, _FIELDS[name]) for tokens in encoded], dtype)
            for name, dtype in self._types.items()
        }


def _token_types(model: ModelManifest) -> Mapping[str, type[np.integer[Any]]]:
    try:
        types = {entry["name"]: _TYPES[entry["dtype"]] for entry in model.raw["inputs"]}
    except KeyError as error:
        raise ModelInvalid(f"model {model.name}: inputs of token ids are int32 or int64, not {error}") from error
    if "input_ids" not in types or not set(types) <= set(_FIELDS):
        raise ModelInvalid(f"model {model.name}: a text tower's inputs are input_ids and perhaps attention_mask")
    return types
