"""The index is a projection: whatever happens to its files, it comes back from the catalogue."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.search_service import SearchService, image_id


def _garbage(index: Path) -> None:
    for file in index.rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")


def _no_rows(index: Path) -> None:
    for file in index.rglob("data/*.lance"):
        file.unlink()


def _cut_rows(index: Path) -> None:
    for file in index.rglob("data/*.lance"):
        file.write_bytes(file.read_bytes()[:100])


def _no_manifests(index: Path) -> None:
    for file in index.rglob("*.manifest"):
        file.unlink()


def _gone(index: Path) -> None:
    shutil.rmtree(index)


def _file_instead(index: Path) -> None:
    for table in index.glob("*.lance"):
        shutil.rmtree(table)
        table.write_bytes(b"")


DAMAGES = [_garbage, _no_rows, _cut_rows, _no_manifests, _gone, _file_instead]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_index_is_whole_before_the_first_search(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    async with SearchService(tmp_path) as service:
        for name in ("cat", "dog"):
            await service.add(name)
    damage(tmp_path / "vectors")
    async with SearchService(tmp_path) as service:
        assert set(await service.ids("cat")) == {image_id("cat"), image_id("dog")}
        await service.add("bird")
        assert len(await service.ids("cat")) == 3


async def test_an_index_of_another_schema_is_replaced(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        await service.add("cat")
        [name] = await service.vectors.names()
        await service.vectors.drop(name)
        await service.vectors.create(name, 5)
    async with SearchService(tmp_path) as service:
        assert await service.ids("cat") == [image_id("cat")]
        assert await service.vectors.names() != [name]


async def test_damage_while_it_is_searched_costs_no_answer(tmp_path: Path) -> None:
    async with SearchService(tmp_path) as service:
        for name in ("cat", "dog"):
            await service.add(name)
        _no_rows(tmp_path / "vectors")
        assert set(await service.ids("cat")) == {image_id("cat"), image_id("dog")}
        status = await service.status()
        assert (status.index_rows, status.indexed) == (2, 2)
