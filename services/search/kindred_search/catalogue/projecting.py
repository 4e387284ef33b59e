"""What the index should know of an image, and how far the projection has come."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, func, or_, select, update

from kindred_search.catalogue import rows
from kindred_search.catalogue.reading import CHUNK, labels_of
from kindred_search.catalogue.tables import claims, embeddings, generations, images
from kindred_search.domain import EMBEDDED, WHOLE, Detection, Generation, State, Visibility

_DIRTY = images.c.row_version > images.c.indexed_version


@dataclass(frozen=True, slots=True)
class ClaimAccess:
    """The part of a claim that decides who finds the image; in the order in which claims are preferred."""

    owner: str
    visibility: Visibility
    license: str


@dataclass(frozen=True, slots=True)
class Projection:
    """One image at one row version. `vectors`: space -> float32 [d]; empty where it is not to be found."""

    image_id: str
    row_version: int
    deleted: bool
    deleted_at_ms: int
    blob_key: str
    thumb_key: str
    origin: str
    format: str
    width: int
    height: int
    created_at_ms: int
    vectors: dict[str, NDArray[np.float32]]
    claims: tuple[ClaimAccess, ...]
    labels: tuple[Detection, ...]
    generations: tuple[Generation, ...] = ()


def dirty(connection: Connection, limit: int) -> list[Projection]:
    """Images that the index does not know as they are now."""
    return _load(connection, select(images).where(_DIRTY).limit(limit))


def workers_have_work(connection: Connection) -> bool:
    """Whether an image is accepted and not embedded yet, so that more is about to arrive."""
    waiting = select(images.c.image_id).where(images.c.state == int(State.STORED), images.c.deleted_at_ms.is_(None))
    return connection.execute(waiting.limit(1)).first() is not None


def page(connection: Connection, after: str, limit: int) -> list[Projection]:
    """Embedded images in order of their ids, after `after`."""
    embedded = images.c.state.in_([int(state) for state in EMBEDDED])
    return _load(
        connection, select(images).where(images.c.image_id > after, embedded).order_by(images.c.image_id).limit(limit)
    )


def embedded_count(connection: Connection, space: str) -> int:
    """Images that belong into an index of this space."""
    return connection.execute(_embedded(space)).scalar_one()


def indexed_count(connection: Connection, space: str) -> int:
    """Images that an index of this space holds already."""
    return connection.execute(_embedded(space).where(images.c.indexed_version > 0)).scalar_one()


def dimension_of(connection: Connection, space: str) -> int | None:
    """Of the embeddings of a space; None where there are none."""
    query = select(embeddings.c.vector).where(embeddings.c.space == space, embeddings.c.view == WHOLE).limit(1)
    vector = connection.execute(query).scalar()
    return None if vector is None else len(rows.decode_vector(vector))


def most_rows(connection: Connection) -> int:
    """How many rows an index can have of this catalogue's images: the embedded ones, and changes on their way."""
    embedded = images.c.state.in_([int(state) for state in EMBEDDED])
    return connection.execute(select(func.count()).where(or_(embedded, _DIRTY))).scalar_one()


def _embedded(space: str) -> Select[int]:
    return (
        select(func.count())
        .select_from(embeddings.join(images, images.c.image_id == embeddings.c.image_id))
        .where(embeddings.c.space == space, embeddings.c.view == WHOLE)
        .where(images.c.state.in_([int(state) for state in EMBEDDED]))
    )


def mark_projected(connection: Connection, done: Sequence[Projection], spaces: Sequence[str]) -> None:
    """Note the versions that the index holds now; an image that has changed since stays dirty."""
    if not done:
        return
    of_image = images.c.image_id == bindparam("id")
    version = update(images).where(of_image).values(indexed_version=bindparam("version"))
    connection.execute(version, [{"id": item.image_id, "version": item.row_version} for item in done])
    searchable = [item.image_id for item in done if any(space in item.vectors for space in spaces)]
    if searchable:
        became = update(images).where(of_image, images.c.state == int(State.DERIVED)).values(state=int(State.INDEXED))
        connection.execute(became, [{"id": image_id} for image_id in searchable])
    buried = [{"id": item.image_id, "version": item.row_version} for item in done if item.deleted]
    if buried:  # nothing is left of a path or a name, but of a thumbnail that came since and is to be removed
        unchanged = (images.c.row_version == bindparam("version")) & images.c.deleted_at_ms.is_not(None)
        connection.execute(update(images).where(of_image, unchanged).values(blob_key="", thumb_key=""), buried)


def mark_all_dirty(connection: Connection) -> None:
    """The index has lost rows: project everything that is alive again."""
    connection.execute(update(images).where(images.c.deleted_at_ms.is_(None)).values(indexed_version=-1))


def buried_among(connection: Connection, image_ids: Sequence[str]) -> list[str]:
    """Those of these images that have left a tombstone."""
    found: list[str] = []
    for start in range(0, len(image_ids), CHUNK):
        among = images.c.image_id.in_(image_ids[start : start + CHUNK])
        found += connection.execute(
            select(images.c.image_id).where(among, images.c.deleted_at_ms.is_not(None))
        ).scalars()
    return found


def dirty_among(connection: Connection, image_ids: Sequence[str]) -> set[str]:
    """Those of these images that the projector is about to write or to remove."""
    found: set[str] = set()
    for start in range(0, len(image_ids), CHUNK):
        among = images.c.image_id.in_(image_ids[start : start + CHUNK])
        found.update(connection.execute(select(images.c.image_id).where(among, _DIRTY)).scalars())
    return found


def _load(connection: Connection, query: Select[Any]) -> list[Projection]:
    found = connection.execute(query).all()
    ids = [row.image_id for row in found if row.state in EMBEDDED]
    vectors: dict[str, dict[str, NDArray[np.float32]]] = defaultdict(dict)
    access: dict[str, list[ClaimAccess]] = defaultdict(list)
    generated: dict[str, list[Generation | None]] = defaultdict(list)
    if ids:
        of_view = select(embeddings).where(embeddings.c.image_id.in_(ids), embeddings.c.view == WHOLE)
        for row in connection.execute(of_view):
            vectors[row.image_id][row.space] = rows.decode_vector(row.vector)
        in_order = select(claims).where(claims.c.image_id.in_(ids)).order_by(claims.c.created_at_ms, claims.c.owner)
        for row in connection.execute(in_order):
            access[row.image_id].append(ClaimAccess(row.owner, Visibility(row.visibility), row.license))
        of_images = select(*generations.c["image_id", *rows.GENERATION_COLUMNS])
        for image_id, *said in connection.execute(of_images.where(generations.c.image_id.in_(ids))):
            generated[image_id].append(rows.generation(said))
    labels = labels_of(connection, ids)
    return [
        Projection(
            image_id=row.image_id,
            row_version=row.row_version,
            deleted=row.deleted_at_ms is not None,
            deleted_at_ms=row.deleted_at_ms or 0,
            blob_key=row.blob_key,
            thumb_key=row.thumb_key,
            origin=row.origin,
            format=row.format,
            width=row.width,
            height=row.height,
            created_at_ms=row.created_at_ms,
            vectors=vectors.get(row.image_id, {}),
            claims=tuple(access.get(row.image_id, ())),
            labels=tuple(labels.get(row.image_id, ())),
            generations=tuple(said for said in generated.get(row.image_id, ()) if said is not None),
        )
        for row in found
    ]
