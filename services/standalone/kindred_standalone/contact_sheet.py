"""Searches of a running gallery -> a report with their thumbnails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.errors import KindredError
from kindred_kit.imaging import ImageLimits, decode, thumbnail
from kindred_standalone.connect import LOCAL, Node
from kindred_standalone.hits import ShownHit
from kindred_standalone.queries import Query
from kindred_standalone.report import MAX_PICTURES, Report, Section, data_uri, make_card, write_report
from kindred_standalone.text import count_text

_QUERY_SIDE_PX = 128


async def write_contact_sheet(
    node: Node, path: Path, searches: Sequence[tuple[Query, Sequence[ShownHit]]], *, foot: str = ""
) -> None:
    """Write `path`. Each picture is inside once for each hit that shows it, MAX_PICTURES at most. Raises OSError."""
    status = await node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL))
    thumbs: dict[str, bytes | None] = {}
    sections, pictures = [], 0
    for query, hits in searches:
        section = Section(query.title, query.kind, filters=query.filters, picture=await _query_picture(query))
        for hit in hits:
            if hit.image_id not in thumbs and pictures < MAX_PICTURES:
                thumbs[hit.image_id] = await _thumb(node, hit.image_id)
            pictures += 1
            section.cards.append(make_card(hit, thumbs.get(hit.image_id) if pictures <= MAX_PICTURES else None))
        sections.append(section)
    labels = await node.search.ListLabels(pb.ListLabelsRequest(principal=LOCAL))
    facts = [
        ("images that can be searched", f"{status.indexed:,}"),
        ("classes found in them", f"{len(labels.labels):,}"),
        ("boxes drawn by the detector", f"{sum(label.boxes for label in labels.labels):,}"),
        ("model", status.space),
    ]
    await asyncio.to_thread(write_report, path, Report("Kindred", _subtitle(sections), facts, sections, foot))


def _subtitle(sections: Sequence[Section]) -> str:
    return f"Contact sheet of {count_text(len(sections), 'search', 'searches')}, {date.today():%d %B %Y}"


async def _thumb(node: Node, image_id: str) -> bytes | None:
    response = await node.http.get(f"/v1/images/{image_id}/thumb", follow_redirects=True)
    return response.content if response.status_code == 200 else None


async def _query_picture(query: Query) -> str:
    if query.image is None:
        return ""
    try:
        return data_uri(await asyncio.to_thread(_small, query.image))
    except (OSError, KindredError):  # the search has answered already; the sheet goes without this picture
        return ""


def _small(path: Path) -> bytes:
    pixels = decode(path.read_bytes(), ImageLimits(), min_side_px=_QUERY_SIDE_PX)
    return thumbnail(pixels, _QUERY_SIDE_PX)
