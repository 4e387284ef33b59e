"""Values of options as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kindred_standalone.errors import UsageError

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def names_of(text: str) -> tuple[str, ...]:
    """`a,b` -> names; none for an empty text. Raises UsageError for an empty name."""
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise UsageError(f"{text!r} is no list of names separated by commas")
    return names


def scales_of(text: str) -> tuple[float, ...]:
    """`0.75,1.5` -> numbers; none for an empty text. Raises UsageError."""
    try:
        return tuple(float(size) for size in text.split(",")) if text else ()
    except ValueError:
        raise UsageError(f"--scales takes numbers separated by commas, not {text!r}") from None


def since_ms(text: str) -> int:
    """A date, a time (of this machine's zone where it names none) or an age -> Unix time in milliseconds.

    Raises UsageError.
    """
    try:
        if text[-1:] in _UNITS:
            moment = datetime.now(UTC) - float(text[:-1]) * _UNITS[text[-1]]
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(f"--since takes a date, a time or an age (2026-01-31, 36h, 7d), not {text!r}") from None
