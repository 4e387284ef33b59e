"""Between the embedder's protobuf messages and its own types."""

from kindred.embedder.v1 import embedder_pb2 as embedder
from kindred_kit.imaging import RegionN


def region_of(request: embedder.EmbedImageRequest) -> RegionN | None:
    """The region of a request, or None for the whole image."""
    if not request.HasField("region"):
        return None
    return RegionN(request.region.x, request.region.y, request.region.w, request.region.h)
