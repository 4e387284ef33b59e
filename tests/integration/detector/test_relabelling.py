"""Relabel at the detector's edge; whole galleries are relabelled in tests/e2e/test_relabel.py."""

from typing import Any

import pytest

from kindred.detector.v1 import detector_pb2 as pb
from kindred_kit.errors import NotAvailable


async def test_without_a_search_service_there_is_nothing_to_label(detector: Any) -> None:
    with pytest.raises(NotAvailable):
        [step async for step in detector.Relabel(pb.RelabelRequest())]
