"""Many embeddings at once, as the catalogue keeps them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from kindred_search.catalogue.reading import CHUNK, visible_image
from kindred_search.catalogue.rows import STORED_DTYPE
from kindred_search.catalogue.tables import embeddings, images


def stored_vectors(
    connection: Connection, owner: str, image_ids: Sequence[str], view: str, space: str
) -> tuple[list[str], NDArray[np.float16]]:
    """The ids among these that have an embedding and that `owner` sees, in the order asked, and theirs, float16 [n, d].

    Each vector was L2-normalised before it was rounded to float16. Where all are unknown: [0, 0].
    """
    found: dict[str, bytes] = {}
    for start in range(0, len(image_ids), CHUNK):
        among = embeddings.c.image_id.in_(image_ids[start : start + CHUNK])
        query = (
            select(embeddings.c.image_id, embeddings.c.vector)
            .join(images, images.c.image_id == embeddings.c.image_id)
            .where(among, embeddings.c.view == view, embeddings.c.space == space, visible_image(owner))
        )
        found.update((row.image_id, row.vector) for row in connection.execute(query))
    ids = [image_id for image_id in dict.fromkeys(image_ids) if image_id in found]
    values = np.frombuffer(b"".join(found[image_id] for image_id in ids), dtype=STORED_DTYPE)
    return ids, values.reshape(len(ids), -1) if ids else values.reshape(0, 0)


def thumb_keys(connection: Connection, owner: str, image_ids: Sequence[str]) -> dict[str, str]:
    """Thumbnail key of each of these that has one and that `owner` sees; at most 500 ids."""
    query = select(images.c.image_id, images.c.thumb_key).where(
        images.c.image_id.in_(image_ids), images.c.thumb_key != "", visible_image(owner)
    )
    return {row.image_id: row.thumb_key for row in connection.execute(query)}
