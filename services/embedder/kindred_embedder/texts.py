"""Text -> embedding."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kindred_kit.errors import InvalidArgument
from kindred_kit.models import ModelManifest
from kindred_kit.ports.inference import Inference

_LENGTH_STEP = 8


class TextEmbedder:
    """The text tower of a space. Longer texts are cut after `max_text_tokens` tokens, the end token kept."""

    def __init__(self, model: ModelManifest, inference: Inference) -> None:
        self._model = model
        self._inference = inference
        self._tokenizer = Tokenizer.from_file(str(model.tokenizer_path))
        self._tokenizer.enable_truncation(model.max_text_tokens)
        # few lengths: texts of one length share a batch on a server that forms them, whoever asked
        self._tokenizer.enable_padding(pad_to_multiple_of=_LENGTH_STEP)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """n texts -> float32 [n, d], L2-normalised. Raises InvalidArgument for an empty text, Unavailable."""
        cleaned = [" ".join(text.split()) for text in texts]
        if not cleaned or not all(cleaned):
            raise InvalidArgument("a text to embed must not be empty")
        tokens = self._tokenizer.encode_batch(cleaned)
        outputs = await self._inference.infer(
            self._model.name,
            {
                "input_ids": np.array([token.ids for token in tokens], np.int64),
                "attention_mask": np.array([token.attention_mask for token in tokens], np.int64),
            },
        )
        return outputs["embedding"].astype(np.float32)
