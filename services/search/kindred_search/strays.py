"""Collections of the vector store that the catalogue does not know: it was deleted, or put back from a backup."""

from kindred_kit.telemetry import FALLBACKS, get_logger
from kindred_search.catalogue import collections
from kindred_search.catalogue.catalogue import Catalogue
from kindred_search.vectors.port import VectorStore


async def drop_strays(catalogue: Catalogue, vectors: VectorStore) -> None:
    """Remove them before the catalogue gives a new collection the name of one of them, and finds its old rows there."""
    known = await catalogue.read(collections.names)
    for name in await vectors.names():
        if name not in known and collections.is_named_by_us(name):
            FALLBACKS.labels("search", "index_stray").inc()
            get_logger("search").warning("an index that the catalogue does not know is removed", collection=name)
            await vectors.drop(name)
