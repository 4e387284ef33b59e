"""Text -> embedding."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred_embedder.images import EmbeddingNotFinite
from kindred_embedder.tokens import TokenReader
from kindred_kit.errors import InvalidArgument
from kindred_kit.models import ModelManifest
from kindred_kit.ports.inference import Inference


class TextEmbedder:
    """The text tower of a space."""

    def __init__(self, model: ModelManifest, inference: Inference) -> None:
        """Raises ModelInvalid where the model's tokenizer can't be read."""
        self._model = model
        self._inference = inference
        self._tokens = TokenReader(model)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """n texts -> float32 [n, d], L2-normalised.

        Raises InvalidArgument for an empty text, EmbeddingNotFinite, Unavailable.
        """
        cleaned = [self._tokens.clean(text) for text in texts]
        if not cleaned or not all(cleaned):
            raise InvalidArgument("a text to embed must not be empty")
        outputs = await self._inference.infer(self._model.name, self._tokens.read(cleaned))
        embeddings = outputs["embedding"].astype(np.float32)
        if not np.isfinite(embeddings).all():
            raise EmbeddingNotFinite(f"model {self._model.name} gave an embedding that is not finite")
        return embeddings
