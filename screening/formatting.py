"""How numbers and dates are written everywhere, and how a moment is read."""

from __future__ import annotations

from datetime import UTC, date, datetime


def percent(share: float) -> str:
    """Whole per cent; "<1 %" and ">99 %" at the ends, where whole numbers would claim too much."""
    if share < 0.01:
        return "<1 %"
    if share > 0.99:
        return ">99 %"
    return f"{share * 100:.0f} %"


def day(value: date) -> str:
    """12 Mar 2026, the format used everywhere."""
    return f"{value.day} {value:%b %Y}"


def moment(text: str) -> datetime:
    """What a caller wrote in ISO 8601, in UTC. ValueError if it is none, without a time zone, or
    outside the years that UTC has.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None
