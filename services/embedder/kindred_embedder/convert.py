"""Between the embedder's protobuf messages and its own types."""

import numpy as np
from numpy.typing import NDArray

from kindred.embedder.v1 import embedder_pb2 as embedder
from kindred_kit.imaging import RegionN


def embedding_message(vector: NDArray[np.float32]) -> embedder.Embedding:
    """float32 [d] -> message."""
    return embedder.Embedding(values=vector.tolist())


def region_of(request: embedder.EmbedImageRequest) -> RegionN | None:
    """The region of a request, or None for the whole image."""
    if not request.HasField("region"):
        return None
    return RegionN(request.region.x, request.region.y, request.region.w, request.region.h)
