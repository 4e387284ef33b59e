"""A weighted mix of terms becomes one query vector."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred_kit.errors import InvalidArgument

_LEAST_NORM = 1e-6
"""Below, what is left of the terms is rounding noise and its direction means nothing."""


def mix(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Weighted sum of L2-normalised float32 [d] vectors, normalised. Raises InvalidArgument if they cancel out."""
    if len(vectors) == 1 and weights[0] > _LEAST_NORM:
        return vectors[0]
    total = np.asarray(weights, dtype=np.float64) @ np.stack(vectors).astype(np.float64)
    norm = float(np.linalg.norm(total))
    if norm < _LEAST_NORM:
        raise InvalidArgument("the query's terms cancel each other out; change a weight", pointer="/query")
    return (total / norm).astype(np.float32)


def unit(values: NDArray[np.float32], pointer: str) -> NDArray[np.float32]:
    """The vector, normalised. Raises InvalidArgument for one that is empty, zero or not finite."""
    wide = values.astype(np.float64)
    norm = math.sqrt(wide @ wide)
    if not math.isfinite(norm) or norm < _LEAST_NORM:
        raise InvalidArgument("an embedding must be finite and not zero", pointer=pointer)
    return (values / np.float32(norm)).astype(np.float32)
