"""Embedding vectors as they travel between the services."""

import numpy as np
from numpy.typing import NDArray

from kindred.embedder.v1 import embedder_pb2 as embedder
from kindred_kit.errors import InvalidArgument

_WIRE = np.dtype("<f4")


def embedding_message(vector: NDArray[np.floating]) -> embedder.Embedding:
    """Floats [d] -> message."""
    return embedder.Embedding(values=vector.astype(_WIRE).tobytes())


def embedding_vector(message: embedder.Embedding) -> NDArray[np.float32]:
    """Message -> float32 [d], read-only. Raises InvalidArgument where the bytes are no whole number of floats."""
    if len(message.values) % _WIRE.itemsize:
        raise InvalidArgument(f"an embedding is float32 values, 4 bytes each, not {len(message.values)} bytes")
    return np.frombuffer(message.values, _WIRE).astype(np.float32, copy=False)
