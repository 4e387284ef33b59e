"""Values of options."""

from datetime import UTC, datetime

import pytest

from kindred_standalone.errors import UsageError
from kindred_standalone.parsing import names_of, scales_of, since_ms


def test_lists() -> None:
    assert names_of("a, b") == ("a", "b")
    assert names_of("") == ()
    assert scales_of("0.75, 1.5") == (0.75, 1.5)
    for text in ("a,", ",b", "a,,b"):
        with pytest.raises(UsageError):
            names_of(text)
    with pytest.raises(UsageError):
        scales_of("large")


def test_moments_and_ages() -> None:
    assert since_ms("2026-01-31T12:00:00+00:00") == int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)
    assert since_ms("2026-01-31") == int(datetime(2026, 1, 31).astimezone().timestamp() * 1000)
    day_ms = 24 * 3600 * 1000
    assert since_ms("1w") + 7 * day_ms == pytest.approx(since_ms("0h"), abs=60_000)
    assert since_ms("36h") == pytest.approx(since_ms("1.5d"), abs=60_000)


@pytest.mark.parametrize("text", ["", "d", "yesterday", "7", "7m", "2026-13-01", "1e999d", "nand"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        since_ms(text)
