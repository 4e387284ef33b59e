"""The demo: which images, which four searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import referenced_path
from kindred_kit.errors import InvalidArgument
from kindred_standalone.connect import LOCAL, Node
from kindred_standalone.photos import packaged_photos, system_folders
from kindred_standalone.queries import Query

HITS = 5


def demo_paths(paths: Sequence[Path]) -> list[Path]:
    """The user's own, or the photographs that this machine has anyway. Raises InvalidArgument where there are none."""
    chosen = list(paths) or [*packaged_photos(), *system_folders()]
    if not chosen:
        raise InvalidArgument("no photographs were found on this machine; name a folder:  make demo IMAGES=~/Pictures")
    return chosen


async def demo_queries(node: Node, *, own_images: bool) -> list[Query]:
    """Two texts, one image, one text with a label filter."""
    if not own_images:
        like = next((path for path in packaged_photos() if path.name == "motorcycle_left.png"), None)
        return [
            Query(text="a cat looking at the camera", limit=HITS),
            Query(text="a cup of coffee on a wooden table", limit=HITS),
            *([Query(image=like, limit=HITS)] if like else []),
            Query(text="a woman in uniform", labels=("person",), limit=HITS),
        ]
    answer = await node.search.ListLabels(pb.ListLabelsRequest(principal=LOCAL))
    names = [entry.class_name for entry in answer.labels]
    # the most frequent class says what the folder is about; a rarer one shows that search finds the few
    frequent = names[0] if names else "person"
    rarer = names[min(len(names) - 1, 4)] if len(names) > 1 else "landscape"
    queries = [Query(text=_a(frequent), limit=HITS), Query(text=f"{_a(rarer)} outdoors", limit=HITS)]
    if (like := await _an_image(node)) is not None:
        queries.append(Query(image=like, limit=HITS))
    label = (frequent,) if names else ()
    queries.append(Query(text="a sunny day in nature", labels=label, limit=HITS))
    return queries


async def _an_image(node: Node) -> Path | None:
    """A file of the gallery that is still there: the best hit of a plain question."""
    answer = await node.http.post("/v1/search", json={"query": [{"text": "a beautiful photo"}], "limit": HITS})
    ids = [result["id"] for result in answer.json().get("results", [])]
    images = await node.search.GetImages(pb.GetImagesRequest(principal=LOCAL, image_ids=ids))
    paths = [path for record in images.images if (path := referenced_path(record.blob_key)) is not None]
    return next((path for path in paths if path.is_file()), None)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
