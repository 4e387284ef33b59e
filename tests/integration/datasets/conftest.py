"""Each test has a gallery and a data set service of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.dataset_service import DatasetService


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[DatasetService]:
    async with DatasetService(tmp_path / "d") as running:
        yield running
