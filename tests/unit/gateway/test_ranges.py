"""Range headers, as RFC 9110 means them."""

import pytest

from kindred_gateway.problems import RangeNotSatisfiable
from kindred_gateway.ranges import ByteRange, wanted_range

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=95-200", (95, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
    ],
)
def test_a_part(said: str, expected: tuple[int, int]) -> None:
    found = wanted_range({"range": said}, 100, ETAG)
    assert found == ByteRange(*expected, 100, partial=True)
    assert found.headers["Content-Range"] == f"bytes {expected[0]}-{expected[1] - 1}/100"
    assert found.headers["Content-Length"] == str(expected[1] - expected[0])


@pytest.mark.parametrize("said", ["", "bytes=-", "bytes=9-3", "bytes=0-1,5-6", "lines=0-9", "bytes=a-b", "bytes"])
def test_what_is_no_range_asks_for_the_whole(said: str) -> None:
    found = wanted_range({"range": said}, 100, ETAG)
    assert found == ByteRange(0, 100, 100, partial=False)
    assert "Content-Range" not in found.headers


def test_a_range_of_another_version_asks_for_the_whole() -> None:
    assert wanted_range({"range": "bytes=5-", "if-range": ETAG}, 100, ETAG).partial
    assert not wanted_range({"range": "bytes=5-", "if-range": '"old"'}, 100, ETAG).partial


@pytest.mark.parametrize("said", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_beyond_the_end(said: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        wanted_range({"range": said}, 100, ETAG)
