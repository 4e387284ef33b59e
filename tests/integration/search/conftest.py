from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.search_service import SearchService


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SearchService]:
    async with SearchService(tmp_path) as running:
        yield running
