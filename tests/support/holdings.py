"""What a gallery holds, for comparison with what was put in. `python holdings.py DATA_DIR IMAGE_ID` prints it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.telemetry import configure_logging
from kindred_standalone.connect import LOCAL, Node, connect
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.settings import StandaloneSettings


async def holdings(node: Node, any_id: str) -> dict[str, Any]:
    """Counts of the catalogue and the index, and the id of every hit that one search reaches, page by page.

    The search is for `any_id`, an image of the gallery: such a query needs no model.
    """
    counts = await node.search.GetStatus(pb.GetStatusRequest(principal=LOCAL))
    names = ("images", "indexed", "pending", "failed", "outbox", "index_rows")
    return {**{name: getattr(counts, name) for name in names}, "found": await _every_hit(node, any_id)}


async def _every_hit(node: Node, any_id: str) -> list[str]:
    body: dict[str, Any] = {"query": [{"image_id": any_id}], "limit": 100}
    found: list[str] = []
    while True:
        answer = (await node.http.post("/v1/search", json=body)).raise_for_status().json()
        found += [hit["id"] for hit in answer["results"]]
        if not answer["next_cursor"]:
            return found
        body["cursor"] = answer["next_cursor"]


async def main() -> None:
    async with connect(DataDirectory.at(Path(sys.argv[1])), StandaloneSettings()) as node:
        print(json.dumps(await holdings(node, sys.argv[2])))


if __name__ == "__main__":
    configure_logging(level="error")
    asyncio.run(main())
