"""Build a data set and die by SIGKILL at a chosen durable boundary. Run as a process by test_dataset_crash.py.

Usage: dataset_crash_child.py DATA_DIR GIVEN BOUNDARY COUNT
As crash_child.py: the process kills itself before (`-`) or after (`+`) the COUNT-th time that BOUNDARY is passed. GIVEN
holds the folders `failures` and `holdout`. Without a death it prints the hashes of the data set as JSON.
"""

import asyncio
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

sys.path.insert(0, str(Path(__file__).parents[1]))  # not started by pytest

from e2e.crash_child import Fuse, HashModel

from kindred_kit.telemetry import configure_logging
from kindred_standalone.compose import Adapters
from kindred_standalone.connect import Session
from kindred_standalone.datadir import DataDirectory
from kindred_standalone.datasets.building import build
from kindred_standalone.datasets.order import Arguments, order_of
from kindred_standalone.settings import StandaloneSettings

BOUNDARIES = {"embed": "INSERT INTO given", "select": "INSERT INTO items", "finish": "DELETE FROM items"}


class FusedBlobs:
    """`read` is an image of the gallery or a given one, `pack` the archive on its way into the store."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def get(self, key: str) -> bytes:
        return await self._fuse.around("read", lambda: self._inner.get(key))  # type: ignore[no-any-return]

    async def put_file(self, key: str, path: Path) -> None:
        await self._fuse.around("pack", lambda: self._inner.put_file(key, path))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watch_commits(engine: Engine, fuse: Fuse) -> None:
    """A boundary is the commit of a transaction that held its statement."""

    def statement(connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        for kind, start in BOUNDARIES.items():
            if sql.lstrip().startswith(start):
                connection.info["fuse"] = kind

    def before(connection: Any) -> None:
        if kind := connection.info.get("fuse"):
            fuse.at(f"{kind}-")

    def returned(dbapi_connection: Any, record: Any) -> None:
        if kind := record.info.pop("fuse", None):
            fuse.at(f"{kind}+")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", before)
    event.listen(engine, "checkin", returned)


async def main() -> None:
    data_dir, given, boundary, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    fuse, model = Fuse(boundary, count), HashModel()

    def wrap(adapters: Adapters) -> Adapters:
        watch_commits(adapters.datasets_engine, fuse)
        return dataclasses.replace(adapters, blobs=FusedBlobs(adapters.blobs, fuse), inference=model)

    settings = StandaloneSettings()
    arguments = Arguments(failures=given / "failures", holdout=(given / "holdout",), size=20, diversity=0.5)
    order = order_of(arguments, settings.limits)
    async with Session.of(DataDirectory.at(data_dir), settings, command="crash test", wrap=wrap) as session:
        made = await build(session, order, lambda _: None)
        listed = (await session.node.http.get("/v1/datasets")).json()["datasets"]
    print(
        json.dumps(
            {
                "manifest": made.manifest_sha256,
                "archive": made.archive_sha256,
                "images": made.images,
                "datasets": len(listed),
                "passes": model.passes,
            }
        )
    )


if __name__ == "__main__":
    configure_logging(level="error")  # stdout is for the result
    asyncio.run(main())
